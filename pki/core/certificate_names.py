"""The names in a certificate that stand there once, for those who decide by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateNames:
    """Common name, organization and unit of the subject; URI and DNS name of the alternative names.

    Each is empty unless the certificate has exactly one of the kind, of at most 255 characters and without NUL: of
    several none is the one that is meant, and half of a name is another.
    """

    cn: str = ""
    o: str = ""
    ou: str = ""
    san_uri: str = ""
    san_dns: str = ""


def names_in(certificate: x509.Certificate) -> CertificateNames:
    """The names that the certificate has."""
    return CertificateNames(
        cn=_attribute(certificate, NameOID.COMMON_NAME),
        o=_attribute(certificate, NameOID.ORGANIZATION_NAME),
        ou=_attribute(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
        san_uri=_alternative(certificate, x509.UniformResourceIdentifier),
        san_dns=_alternative(certificate, x509.DNSName),
    )


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    return _only([each.value for each in certificate.subject.get_attributes_for_oid(oid)])


def _alternative(certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier | x509.DNSName]) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ""
    return _only([each.value for each in names if isinstance(each, kind)])


def _only(values: Sequence[Any]) -> str:
    match values:
        case [str(value)] if len(value) <= LONGEST_NAME and "\0" not in value:
            return value
    return ""
