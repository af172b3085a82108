"""A certificate's fields as short texts, each under the name that its RFC gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pki.core.certificates import subject_text
from pki.core.key_kinds import kind_of
from pki.core.names import HARDWARE_MODULE_NAME
from pki.core.profile import KEY_USAGES
from pki.core.profile_documents import KEY_USAGE_NAMES, usage_name

_NAMES = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    ExtensionOID.KEY_USAGE: "keyUsage",
    ExtensionOID.CERTIFICATE_POLICIES: "certificatePolicies",
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "subjectAltName",
    ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
    ExtensionOID.NAME_CONSTRAINTS: "nameConstraints",
    ExtensionOID.EXTENDED_KEY_USAGE: "extKeyUsage",
    ExtensionOID.CRL_DISTRIBUTION_POINTS: "cRLDistributionPoints",
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "authorityInfoAccess",
    ExtensionOID.OCSP_NO_CHECK: "id-pkix-ocsp-nocheck",
}
_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
    x509.RegisteredID: "RID",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldText:
    """One field or extension; `critical` is None of what is no extension."""

    name: str
    values: tuple[str, ...]
    critical: bool | None = None


def field_texts(certificate: x509.Certificate) -> tuple[FieldText, ...]:
    """The fields and extensions in their order, without serial number, key and signature."""
    fields = {
        "issuer": subject_text(certificate.issuer),
        "notBefore": f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "subject": subject_text(certificate.subject),
        "subjectPublicKeyInfo": kind_of(certificate.public_key()),
    }
    extensions = (
        FieldText(
            name=_NAMES.get(each.oid, each.oid.dotted_string),
            values=tuple(_values(each.value)),
            critical=each.critical,
        )
        for each in certificate.extensions
    )
    return (*(FieldText(name=name, values=(value,)) for name, value in fields.items()), *extensions)


def _values(value: x509.ExtensionType) -> Iterator[str]:  # noqa: C901 - one case an extension
    match value:
        case x509.BasicConstraints(ca=ca, path_length=length):
            yield f"CA:{str(ca).upper()}" + ("" if length is None else f", pathlen:{length}")
        case x509.KeyUsage():
            used = {usage for usage in KEY_USAGES if _has(value, usage)}
            yield from (name for name, usage in KEY_USAGE_NAMES.items() if usage in used)
        case x509.ExtendedKeyUsage():
            yield from map(usage_name, value)
        case x509.SubjectAlternativeName():
            yield from map(general_name_text, value)
        case x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded):
            yield from (f"permitted {general_name_text(each)}" for each in permitted or ())
            yield from (f"excluded {general_name_text(each)}" for each in excluded or ())
        case x509.SubjectKeyIdentifier(digest=digest):
            yield digest.hex()
        case x509.AuthorityKeyIdentifier(key_identifier=key_id):
            yield (key_id or b"").hex()
        case x509.CertificatePolicies():
            yield from (policy.policy_identifier.dotted_string for policy in value)
        case x509.AuthorityInformationAccess():
            yield from (f"{_method(each)} - {each.access_location.value}" for each in value)
        case x509.CRLDistributionPoints():
            yield from (str(name.value) for point in value for name in point.full_name or ())


def _has(usage: x509.KeyUsage, name: str) -> bool:
    return bool(getattr(usage, name)) if usage.key_agreement or not name.endswith("cipher_only") else False


def _method(access: x509.AccessDescription) -> str:
    return "OCSP" if access.access_method == x509.oid.AuthorityInformationAccessOID.OCSP else "CA Issuers"


def general_name_text(name: x509.GeneralName) -> str:
    """A general name as openssl writes it; a hardware module's with the hex of its DER."""
    if isinstance(name, x509.DirectoryName):
        return f"DirName:{subject_text(name.value)}"
    if isinstance(name, x509.OtherName):
        kind = "hardwareModuleName" if name.type_id == HARDWARE_MODULE_NAME else name.type_id.dotted_string
        return f"{kind}:{name.value.hex()}"
    value = name.value.dotted_string if isinstance(name, x509.RegisteredID) else name.value
    return f"{_KINDS.get(type(name), type(name).__name__)}:{value}"
