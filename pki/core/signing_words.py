"""What certificates and CRLs say, in words, a line each: for whoever signs them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cryptography import x509

from kernel.core.clock import to_rfc3339
from pki.core.csr import spki_sha256
from pki.core.profile import KEY_USAGES
from pki.core.values import serial_hex

_SHOWN_ENTRIES = 50
_AGREEING = frozenset({"encipher_only", "decipher_only"})  # the library refuses to say without key agreement


def certificate_lines(certificate: x509.Certificate) -> Iterator[str]:
    """A certificate: names, time, key, and every extension."""
    yield f"certificate for {certificate.subject.rfc4514_string()}"
    yield f"issued by {certificate.issuer.rfc4514_string()}"
    yield f"serial number {serial_hex(certificate.serial_number)}"
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    yield f"valid from {to_rfc3339(begins)} to {to_rfc3339(ends)}"
    yield f"SHA-256 of its public key: {spki_sha256(certificate.public_key())}"
    for extension in certificate.extensions:
        words = _WORDS.get(type(extension.value), lambda value: str(value)[:300])
        critical = ", critical" if extension.critical else ""
        yield f"{extension.oid.dotted_string}{critical}: {words(extension.value)}"


def crl_lines(crl: x509.CertificateRevocationList) -> Iterator[str]:
    """A CRL: number, time, and its first entries."""
    yield f"CRL of {crl.issuer.rfc4514_string()}"
    yield f"number {crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number}"
    ends = to_rfc3339(crl.next_update_utc) if crl.next_update_utc else "for ever"
    yield f"made {to_rfc3339(crl.last_update_utc)}, valid until {ends}"
    yield f"lists {len(crl)} certificates"
    for number, revoked in enumerate(crl):
        if number == _SHOWN_ENTRIES:
            yield f"and {len(crl) - number} more"
            return
        yield f"revoked: {serial_hex(revoked.serial_number)} since {to_rfc3339(revoked.revocation_date_utc)}"


def _basic(value: x509.BasicConstraints) -> str:
    if not value.ca:
        return "no CA"
    return f"a CA, path length {'any' if value.path_length is None else value.path_length}"


def _usage(value: x509.KeyUsage) -> str:
    return "key usage " + ", ".join(name for name in sorted(KEY_USAGES - _AGREEING) if getattr(value, name))


def _points(value: x509.CRLDistributionPoints) -> str:
    return "CRL at " + ", ".join(str(name.value) for point in value for name in point.full_name or ())


_WORDS: Mapping[type, Callable[[Any], str]] = {
    x509.BasicConstraints: _basic,
    x509.KeyUsage: _usage,
    x509.ExtendedKeyUsage: lambda value: "for " + ", ".join(usage.dotted_string for usage in value),
    x509.SubjectKeyIdentifier: lambda value: f"key identifier {value.digest.hex()}",
    x509.AuthorityKeyIdentifier: lambda value: f"key identifier of the issuer {(value.key_identifier or b'').hex()}",
    x509.AuthorityInformationAccess: lambda value: (
        "see " + ", ".join(str(each.access_location.value) for each in value)
    ),
    x509.CRLDistributionPoints: _points,
    x509.OCSPNoCheck: lambda _: "nobody asks whether it is revoked",
}
