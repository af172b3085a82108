"""Rules for a certificate's extensions: what RFC 5280 4.2 asks of each, and what the profile promised."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from pki.core.certificates import Authority, key_usage_of, subtrees_of
from pki.core.keys import key_identifier
from pki.core.lint_findings import LintFinding, error, warning
from pki.core.profile import NameKind, Profile

Extensions = dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]

_ALWAYS_CRITICAL = {
    ExtensionOID.BASIC_CONSTRAINTS: "RFC 5280 4.2.1.9",
    ExtensionOID.KEY_USAGE: "RFC 5280 4.2.1.3",
    ExtensionOID.NAME_CONSTRAINTS: "RFC 5280 4.2.1.10",
}
_NEVER_CRITICAL = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "RFC 5280 4.2.1.1",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "RFC 5280 4.2.1.2",
    ExtensionOID.CERTIFICATE_POLICIES: "RFC 5280 4.2.1.4",
    ExtensionOID.CRL_DISTRIBUTION_POINTS: "RFC 5280 4.2.1.13",
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "RFC 5280 4.2.2.1",
    ExtensionOID.OCSP_NO_CHECK: "RFC 6960 4.2.2.2.1",
}
_EITHER = {ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.EXTENDED_KEY_USAGE}
_ENCIPHERING = ("key_encipherment", "data_encipherment")


def extension_findings(
    public_key: PublicKeyTypes, found: Extensions, profile: Profile, authority: Authority | None
) -> Iterator[LintFinding]:
    """Everything that is wrong with the extensions, except for the names."""
    yield from _criticality(found, profile)
    yield from _key_ids(public_key, found, authority)
    yield from _constraints(found, profile, authority)
    yield from _usages(public_key, found, profile)
    yield from _policies(found, profile)
    if authority:
        yield from _access(found, profile, authority)
        yield from _crl(found, profile, authority)


def _criticality(found: Extensions, profile: Profile) -> Iterator[LintFinding]:
    stamps = ExtendedKeyUsageOID.TIME_STAMPING in profile.extended_key_usage
    for oid, extension in found.items():
        if oid in _ALWAYS_CRITICAL or oid in _NEVER_CRITICAL:
            section = _ALWAYS_CRITICAL.get(oid) or _NEVER_CRITICAL[oid]
            if extension.critical != (oid in _ALWAYS_CRITICAL):
                yield error("criticality", section, f"{oid.dotted_string} has the wrong criticality")
        elif oid not in _EITHER:
            yield error("extension-unknown", "RFC 5280 4.2", f"{oid.dotted_string} is no extension of its profile")
    usage = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
    if usage and usage.critical != stamps:
        yield error("criticality", "RFC 3161 2.3", "its extended key usage is critical for time stamping alone")


def _key_ids(public_key: PublicKeyTypes, found: Extensions, authority: Authority | None) -> Iterator[LintFinding]:
    key_id = key_identifier(public_key)
    own = found.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    if not own or own.value != x509.SubjectKeyIdentifier(key_id):
        yield error("subject-key-id", "RFC 5280 4.2.1.2", "its subject key identifier is not that of its key")
    issuers = found.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    expected = x509.AuthorityKeyIdentifier(authority.key_id if authority else key_id, None, None)
    if not issuers or issuers.value != expected:
        yield error("authority-key-id", "RFC 5280 4.2.1.1", "its authority key identifier is not the issuer's")


def _constraints(found: Extensions, profile: Profile, authority: Authority | None) -> Iterator[LintFinding]:
    basic = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if not basic or basic.value != x509.BasicConstraints(profile.is_ca, profile.path_length):
        yield error("basic-constraints", "RFC 5280 4.2.1.9", "its basic constraints are not the profile's")
    if authority and authority.path_length == 0 and profile.is_ca:
        yield error("path-length", "RFC 5280 4.2.1.9", "its issuer may have no CA below it")
    names = found.get(ExtensionOID.NAME_CONSTRAINTS)
    permitted, excluded = subtrees_of(profile.permitted_names), subtrees_of(profile.excluded_names)
    wanted = x509.NameConstraints(permitted, excluded) if permitted or excluded else None
    if (names.value if names else None) != wanted:
        yield error("name-constraints", "RFC 5280 4.2.1.10", "its name constraints are not the profile's")
    if any(tree.kind is NameKind.URI for tree in profile.permitted_names):
        yield warning(
            "uri-constraint",
            "RFC 5280 4.2.1.10",
            "it lets no certificate below it have a URI without a host, such as the urn: of devices",
        )


def _usages(key: PublicKeyTypes, found: Extensions, profile: Profile) -> Iterator[LintFinding]:
    usage = found.get(ExtensionOID.KEY_USAGE)
    if not usage or usage.value != key_usage_of(profile):
        yield error("key-usage", "RFC 5280 4.2.1.3", "its key usage is not the profile's")
    if not isinstance(key, rsa.RSAPublicKey) and any(each in profile.key_usage for each in _ENCIPHERING):
        yield error("key-usage-key", "RFC 5480 3", "its key can not encipher")
    if not isinstance(key, ec.EllipticCurvePublicKey) and "key_agreement" in profile.key_usage:
        yield error("key-usage-key", "RFC 8410 5", "its key can not agree upon keys")
    extended = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
    wanted = x509.ExtendedKeyUsage(profile.extended_key_usage) if profile.extended_key_usage else None
    if (extended.value if extended else None) != wanted:
        yield error("extended-key-usage", "RFC 5280 4.2.1.12", "its extended key usage is not the profile's")
    if ExtendedKeyUsageOID.CLIENT_AUTH in profile.extended_key_usage and any(
        not asked.patterns for asked in profile.requestable
    ):
        yield warning("names-unbounded", "", "who asks may choose any name for a client: give patterns")
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in profile.extended_key_usage:
        yield warning("any-usage", "RFC 5280 4.2.1.12", "it may be used for anything")
    if (ExtensionOID.OCSP_NO_CHECK in found) != profile.ocsp_no_check:
        yield error("ocsp-nocheck", "RFC 6960 4.2.2.2.1", "id-pkix-ocsp-nocheck is not as in the profile")


def _policies(found: Extensions, profile: Profile) -> Iterator[LintFinding]:
    extension = found.get(ExtensionOID.CERTIFICATE_POLICIES)
    policies = [*extension.value] if extension and isinstance(extension.value, x509.CertificatePolicies) else []
    if [policy.policy_identifier for policy in policies] != [policy.oid for policy in profile.policies]:
        yield error("policies", "RFC 5280 4.2.1.4", "its policies are not the profile's")
    for policy in profile.policies:
        if policy.cps and not _is_web(policy.cps, "http", "https"):
            yield error("policy-cps", "RFC 5280 4.2.1.4", f"its practice statement {policy.cps!r} is no web address")


def _access(found: Extensions, profile: Profile, authority: Authority) -> Iterator[LintFinding]:
    extension = found.get(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    access = [*extension.value] if extension and isinstance(extension.value, x509.AuthorityInformationAccess) else []
    told = {each.access_method: each.access_location.value for each in access}
    issuer_url = authority.certificate_url if profile.names_issuer else ""
    ocsp_url = authority.ocsp_url if profile.names_ocsp else ""
    for method, expected, what in (
        (AuthorityInformationAccessOID.CA_ISSUERS, issuer_url or None, "its issuer's certificate is"),
        (AuthorityInformationAccessOID.OCSP, ocsp_url or None, "OCSP answers"),
    ):
        if told.pop(method, None) != expected:
            does = "does not say" if expected else "says"
            yield error("information-access", "RFC 5280 4.2.2.1", f"it {does} where {what}")
        elif expected and not _is_web(expected, "http", "https"):
            yield error("information-access", "RFC 5280 4.2.2.1", f"{expected!r} is no web address")
    if told:
        yield error("information-access", "RFC 5280 4.2.2.1", "it says how to reach something that it should not")


def _crl(found: Extensions, profile: Profile, authority: Authority) -> Iterator[LintFinding]:
    extension = found.get(ExtensionOID.CRL_DISTRIBUTION_POINTS)
    points = [*extension.value] if extension and isinstance(extension.value, x509.CRLDistributionPoints) else []
    told = [[name.value for name in point.full_name or ()] for point in points]
    expected = [[authority.crl_url]] if profile.names_crl and authority.crl_url else []
    if told != expected:
        yield error(
            "distribution-point",
            "RFC 5280 4.2.1.13",
            "it does not say where its CRL is" if expected else "it says where a CRL is that it should not name",
        )
    elif expected and not _is_web(authority.crl_url, "http", "https", "ldap"):
        yield error("distribution-point", "RFC 5280 4.2.1.13", f"{authority.crl_url!r} is no web address")


@lru_cache(maxsize=1024)
def _is_web(url: str, *schemes: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in schemes and bool(parts.hostname) and url.isascii()
