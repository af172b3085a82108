"""What stands in a certificate, in the words of RFC 5280."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from console.views.extension_words import words_of
from console.views.times import exact
from pki.core.values import serial_hex

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "dNSName",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "iPAddress",
    x509.RFC822Name: "rfc822Name",
    x509.RegisteredID: "registeredID",
}
_HARDWARE_MODULE_NAME = "1.3.6.1.5.5.7.8.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An extension for people; `section` is where its RFC explains it."""

    name: str
    section: str
    meaning: str
    critical: bool
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A certificate for people: RFC 5280's name of each field with its value, and the extensions. `fault`: unread."""

    fields: tuple[tuple[str, str], ...]
    extensions: tuple[Extension, ...]
    fault: str = ""


def fields_of(pem: str) -> Fields:
    """The fields of the first certificate in `pem`."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    fields = tuple(_fields(certificate))
    try:
        return Fields(fields=fields, extensions=tuple(map(_extension, certificate.extensions)))
    except (ValueError, x509.DuplicateExtension) as error:
        return Fields(fields=fields, extensions=(), fault=f"Its extensions can not be read: {error}.")


def _fields(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    yield "version", certificate.version.name
    yield "serialNumber", serial_hex(certificate.serial_number)
    yield "signature", oid_name(certificate.signature_algorithm_oid)
    yield "issuer", _name(certificate.issuer)
    yield "validity: notBefore", exact(certificate.not_valid_before_utc)
    yield "validity: notAfter", exact(certificate.not_valid_after_utc)
    yield "subject", _name(certificate.subject)
    yield "subjectPublicKeyInfo", _key(certificate)


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or "empty"


def oid_name(oid: x509.ObjectIdentifier) -> str:
    """What an object identifier is called, or its number."""
    known: str = getattr(oid, "_name", "")
    return known if known and known != "Unknown OID" else oid.dotted_string


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return oid_name(certificate.public_key_algorithm_oid)
    match key:
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size} bits, exponent {key.public_numbers().e}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
    return oid_name(certificate.public_key_algorithm_oid)


def _extension(found: x509.Extension[x509.ExtensionType]) -> Extension:
    words = words_of(found.oid.dotted_string)
    return Extension(
        name=words.name,
        section=words.section,
        meaning=words.meaning,
        critical=found.critical,
        values=tuple(_values(found.value)),
    )


def _values(value: x509.ExtensionType) -> Iterator[str]:
    match value:
        case x509.BasicConstraints(ca=ca, path_length=length):
            yield f"cA: {'TRUE' if ca else 'FALSE'}"
            if length is not None:
                yield f"pathLenConstraint: {length}"
        case x509.KeyUsage():
            yield from (_camel(usage) for usage in _USAGES if getattr(value, usage))
        case x509.ExtendedKeyUsage():
            yield from map(oid_name, value)
        case x509.SubjectKeyIdentifier(digest=digest):
            yield digest.hex()
        case x509.AuthorityKeyIdentifier(key_identifier=key):
            yield (key or b"").hex() or "without keyIdentifier"
        case _:
            yield from _places(value)


def _places(value: x509.ExtensionType) -> Iterator[str]:
    match value:
        case x509.SubjectAlternativeName():
            yield from _general(value)
        case x509.AuthorityInformationAccess() | x509.SubjectInformationAccess():
            yield from (f"{oid_name(found.access_method)}: {found.access_location.value}" for found in value)
        case x509.CRLDistributionPoints() | x509.FreshestCRL():
            yield from (str(name.value) for point in value for name in point.full_name or ())
        case x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded):
            yield from (f"permitted {name}" for name in _general(permitted or ()))
            yield from (f"excluded {name}" for name in _general(excluded or ()))
        case x509.CertificatePolicies():
            yield from (policy.policy_identifier.dotted_string for policy in value)
        case x509.OCSPNoCheck():
            yield "present"
        case x509.UnrecognizedExtension(value=octets):
            yield octets.hex()
        case _:
            yield "present"


def _general(names: Iterable[x509.GeneralName]) -> Iterator[str]:
    for name in names:
        match name:
            case x509.OtherName(type_id=kind, value=octets):
                known = "hardwareModuleName" if kind.dotted_string == _HARDWARE_MODULE_NAME else kind.dotted_string
                yield f"otherName {known}: {octets.hex()}"
            case x509.DirectoryName(value=value):
                yield f"directoryName: {_name(value)}"
            case _:
                yield f"{_KINDS.get(type(name), 'name')}: {name.value}"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    plain = first + "".join("CRL" if word == "crl" else word.capitalize() for word in rest)
    return {"crlSign": "cRLSign"}.get(plain, plain)
