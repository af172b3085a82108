"""What certificates and CRLs say, in words, a line each: for whoever signs them elsewhere.

Whoever made them may want to hide something: nothing is left out or cut, and nothing in them moves a cursor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cryptography import x509

from kernel.core.clock import to_rfc3339
from pki.core.csr import spki_sha256
from pki.core.profile import KEY_USAGES
from pki.core.values import serial_hex

_SHOWN_ENTRIES = 50
_AGREEING = frozenset({"encipher_only", "decipher_only"})  # the library refuses to say without key agreement


def visible(text: str) -> str:
    """The text on one line: what can not be printed is escaped, and so is each space behind a space."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return re.sub(r"(?<= ) ", r"\\x20", shown)


def certificate_lines(certificate: x509.Certificate) -> Iterator[str]:
    """A certificate: names, time, key, and every extension."""
    return map(visible, _certificate(certificate))


def crl_lines(crl: x509.CertificateRevocationList) -> Iterator[str]:
    """A CRL: time, every extension, and its first entries."""
    return map(visible, _crl(crl))


def _certificate(certificate: x509.Certificate) -> Iterator[str]:
    yield f"certificate for {certificate.subject.rfc4514_string()}"
    yield f"issued by {certificate.issuer.rfc4514_string()}"
    yield f"serial number {serial_hex(certificate.serial_number)}"
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    yield f"valid from {to_rfc3339(begins)} to {to_rfc3339(ends)}"
    yield f"SHA-256 of its public key: {spki_sha256(certificate.public_key())}"
    yield from _extensions(certificate.extensions)


def _crl(crl: x509.CertificateRevocationList) -> Iterator[str]:
    yield f"CRL of {crl.issuer.rfc4514_string()}"
    ends = to_rfc3339(crl.next_update_utc) if crl.next_update_utc else "for ever"
    yield f"made {to_rfc3339(crl.last_update_utc)}, valid until {ends}"
    yield from _extensions(crl.extensions)
    yield f"lists {len(crl)} certificates"
    for number, revoked in enumerate(crl):
        if number == _SHOWN_ENTRIES:
            yield f"and {len(crl) - number} more"
            return
        yield f"revoked: {serial_hex(revoked.serial_number)} since {to_rfc3339(revoked.revocation_date_utc)}"
        yield from (f"and of it {line}" for line in _extensions(revoked.extensions))


def _extensions(extensions: x509.Extensions) -> Iterator[str]:
    """Every extension, on as many lines as it has parts."""
    for extension in extensions:
        words = _WORDS.get(type(extension.value), lambda value: [str(value)])
        critical = ", critical" if extension.critical else ""
        for line in words(extension.value) or ["empty"]:
            yield f"{extension.oid.dotted_string}{critical}: {line}"


def _name(name: x509.GeneralName) -> str:
    """Its value and its sort, which is last so that no value can say another: `a.example (DNSName)`."""
    if isinstance(name, x509.OtherName):
        return f"{name.type_id.dotted_string} {name.value.hex()} (OtherName)"
    if isinstance(name, x509.RegisteredID):
        return f"{name.value.dotted_string} (RegisteredID)"
    value = name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else name.value
    return f"{value} ({type(name).__name__})"


def _names(before: str, names: Iterable[x509.GeneralName] | None) -> list[str]:
    return [f"{before} {_name(name)}" for name in names or ()]


def _basic(value: x509.BasicConstraints) -> list[str]:
    if not value.ca:
        return ["no CA"]
    return [f"a CA, path length {'any' if value.path_length is None else value.path_length}"]


def _usage(value: x509.KeyUsage) -> list[str]:
    asked = KEY_USAGES if value.key_agreement else KEY_USAGES - _AGREEING
    return ["key usage " + ", ".join(name for name in sorted(asked) if getattr(value, name))]


def _authority_key(value: x509.AuthorityKeyIdentifier) -> list[str]:
    lines = [f"key identifier of the issuer {(value.key_identifier or b'').hex()}"]
    lines += _names("issuer of the issuer", value.authority_cert_issuer)
    if value.authority_cert_serial_number is not None:
        lines.append(f"serial number of the issuer {value.authority_cert_serial_number:x}")
    return lines


def _constraints(value: x509.NameConstraints) -> list[str]:
    return [*_names("permits", value.permitted_subtrees), *_names("excludes", value.excluded_subtrees)]


def _policies(value: x509.CertificatePolicies) -> list[str]:
    lines = []
    for policy in value:
        lines.append(f"policy {policy.policy_identifier.dotted_string}")
        lines += [f"policy's qualifier {qualifier}" for qualifier in policy.policy_qualifiers or ()]
    return lines


def _points(value: Iterable[x509.DistributionPoint]) -> list[str]:
    """Also of a FreshestCRL."""
    lines = []
    for point in value:
        lines += _names("CRL at", point.full_name)
        if point.relative_name is not None:
            lines.append(f"CRL at, below its issuer, {point.relative_name.rfc4514_string()}")
        if point.reasons is not None:
            lines.append("CRL with these reasons alone: " + _reasons(point.reasons))
        lines += _names("CRL signed by", point.crl_issuer)
    return lines


def _scope(value: x509.IssuingDistributionPoint) -> list[str]:
    lines = _names("this CRL is at", value.full_name)
    if value.relative_name is not None:
        lines.append(f"this CRL is at, below its issuer, {value.relative_name.rfc4514_string()}")
    if value.only_some_reasons is not None:
        lines.append("this CRL has these reasons alone: " + _reasons(value.only_some_reasons))
    said = {
        "this CRL has certificates of end entities alone": value.only_contains_user_certs,
        "this CRL has certificates of CAs alone": value.only_contains_ca_certs,
        "this CRL has attribute certificates alone": value.only_contains_attribute_certs,
        "this CRL has certificates of other issuers too": value.indirect_crl,
    }
    return lines + [line for line, is_so in said.items() if is_so]


def _reasons(reasons: Iterable[x509.ReasonFlags]) -> str:
    return ", ".join(sorted(reason.value for reason in reasons))


_WORDS: Mapping[type, Callable[[Any], list[str]]] = {
    x509.BasicConstraints: _basic,
    x509.KeyUsage: _usage,
    x509.ExtendedKeyUsage: lambda value: ["for " + ", ".join(usage.dotted_string for usage in value)],
    x509.SubjectKeyIdentifier: lambda value: [f"key identifier {value.digest.hex()}"],
    x509.AuthorityKeyIdentifier: _authority_key,
    x509.SubjectAlternativeName: lambda value: _names("also named", value),
    x509.IssuerAlternativeName: lambda value: _names("its issuer is also named", value),
    x509.NameConstraints: _constraints,
    x509.CertificatePolicies: _policies,
    x509.AuthorityInformationAccess: lambda value: [
        f"see {each.access_method.dotted_string} {_name(each.access_location)}" for each in value
    ],
    x509.CRLDistributionPoints: _points,
    x509.FreshestCRL: _points,
    x509.OCSPNoCheck: lambda _: ["nobody asks whether it is revoked"],
    x509.CRLNumber: lambda value: [f"number {value.crl_number}"],
    x509.DeltaCRLIndicator: lambda value: [f"a delta CRL: it says only what changed since number {value.crl_number}"],
    x509.IssuingDistributionPoint: _scope,
    x509.CRLReason: lambda value: [f"reason {value.reason.value}"],
    x509.CertificateIssuer: lambda value: _names("a certificate of", value),
    x509.InvalidityDate: lambda value: [f"not to be trusted since {to_rfc3339(value.invalidity_date_utc)}"],
    x509.UnrecognizedExtension: lambda value: [f"unknown here, in hexadecimal {value.value.hex()}"],
}
