"""What stands in a certificate, in the words of RFC 5280."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An extension for people."""

    name: str
    critical: bool
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of a certificate for people."""

    version: str
    subject: str
    issuer: str
    signature_algorithm: str
    public_key: str
    extensions: tuple[Extension, ...]


def fields_of(pem: str) -> Fields:
    """The fields of the first certificate in `pem`."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    algorithm = certificate.signature_algorithm_oid
    return Fields(
        version=certificate.version.name,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        signature_algorithm=getattr(algorithm, "_name", algorithm.dotted_string),
        public_key=_key(certificate),
        extensions=tuple(
            Extension(name=_name(found), critical=found.critical, values=tuple(_values(found.value)))
            for found in certificate.extensions
        ),
    )


def _key(certificate: x509.Certificate) -> str:
    match certificate.public_key():
        case ec.EllipticCurvePublicKey() as key:
            return f"EC {key.curve.name}"
        case rsa.RSAPublicKey() as key:
            return f"RSA {key.key_size} bits"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
    return certificate.public_key_algorithm_oid.dotted_string


def _name(extension: x509.Extension[x509.ExtensionType]) -> str:
    known: str = getattr(extension.oid, "_name", "")
    return known if known and known != "Unknown OID" else extension.oid.dotted_string


def _values(value: x509.ExtensionType) -> Iterator[str]:
    match value:
        case x509.BasicConstraints(ca=ca, path_length=length):
            yield f"CA: {'yes' if ca else 'no'}"
            if length is not None:
                yield f"pathLenConstraint: {length}"
        case x509.KeyUsage():
            yield from (_camel(usage) for usage in _USAGES if getattr(value, usage))
        case x509.ExtendedKeyUsage():
            yield from (getattr(usage, "_name", usage.dotted_string) for usage in value)
        case x509.SubjectKeyIdentifier(digest=digest):
            yield digest.hex()
        case x509.AuthorityKeyIdentifier(key_identifier=key):
            yield (key or b"").hex()
        case _:
            yield from _places(value)


def _places(value: x509.ExtensionType) -> Iterator[str]:
    match value:
        case x509.SubjectAlternativeName():
            yield from (f"{_kind(name)}: {name.value}" for name in value)
        case x509.AuthorityInformationAccess():
            yield from (
                f"{getattr(found.access_method, '_name', '')}: {found.access_location.value}" for found in value
            )
        case x509.CRLDistributionPoints() | x509.FreshestCRL():
            yield from (str(name.value) for point in value for name in point.full_name or ())
        case x509.UnrecognizedExtension(value=octets):
            yield octets.hex()
        case _:
            yield "present"


def _method(found: x509.AccessDescription) -> str:
    return str(getattr(found.access_method, "_name", found.access_method.dotted_string))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join("CRL" if word == "crl" else word.capitalize() for word in rest)


def _kind(name: x509.GeneralName) -> str:
    kinds = {x509.DNSName: "DNS", x509.UniformResourceIdentifier: "URI", x509.IPAddress: "IP", x509.RFC822Name: "email"}
    return kinds.get(type(name), "name")
