"""Quick rules that every certificate passes before it is signed with the real key (RFC 5280 4)."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID

from kernel.core.errors import Conflict
from pki.core.certificates import Authority, key_usage_of
from pki.core.keys import key_identifier
from pki.core.profiles import Profile

_Extensions = dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]


class LintFailure(Conflict):
    """The certificate that would have come out is not what it should be; nothing was signed."""

    code = "certificate-lint"


def check(certificate: x509.Certificate, *, profile: Profile, authority: Authority | None) -> None:
    """Raises LintFailure with everything that is wrong."""
    if findings := [*_findings(certificate, profile, authority)]:
        raise LintFailure("The certificate was not signed, since it would be wrong: " + "; ".join(findings) + ".")


def _findings(certificate: x509.Certificate, profile: Profile, authority: Authority | None) -> Iterator[str]:
    if certificate.version is not x509.Version.v3:
        yield "it is not version 3 (4.1.2.1)"
    if not 0 < certificate.serial_number < 1 << 159:
        yield "its serial number is not positive in 20 octets (4.1.2.2)"
    yield from _validity(certificate, authority)
    yield from _names(certificate, authority)
    yield from _extensions(certificate, profile, authority)


def _validity(certificate: x509.Certificate, authority: Authority | None) -> Iterator[str]:
    if certificate.not_valid_before_utc >= certificate.not_valid_after_utc:
        yield "it ends before it begins (4.1.2.5)"
    if authority and certificate.not_valid_after_utc > authority.not_after:
        yield "it outlives its issuer"


def _names(certificate: x509.Certificate, authority: Authority | None) -> Iterator[str]:
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common_names) != 1 or not 1 <= len(common_names[0].value) <= 64:
        yield "its subject has not exactly one common name of 1 to 64 characters (A.1)"
    if certificate.issuer != (authority.name if authority else certificate.subject):
        yield "its issuer is not named as the issuer names itself (4.1.2.4)"


def _extensions(certificate: x509.Certificate, profile: Profile, authority: Authority | None) -> Iterator[str]:
    try:
        found: _Extensions = {each.oid: each for each in certificate.extensions}
    except x509.DuplicateExtension:
        yield "an extension stands twice (4.2)"
        return
    except ValueError as error:
        yield f"an extension can not be read back: {error}"
        return
    must_be_critical = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE}
    for oid, extension in found.items():
        if extension.critical != (oid in must_be_critical):
            yield f"{oid.dotted_string} has the wrong criticality"
    key_id = key_identifier(certificate.public_key())
    own = found.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    if not own or own.value != x509.SubjectKeyIdentifier(key_id):
        yield "its subject key identifier is not that of its key (4.2.1.2)"
    issuers = found.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    expected = x509.AuthorityKeyIdentifier(authority.key_id if authority else key_id, None, None)
    if not issuers or issuers.value != expected:
        yield "its authority key identifier is not the issuer's (4.2.1.1)"
    basic = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if not basic or basic.value != x509.BasicConstraints(profile.is_ca, profile.path_length):
        yield "its basic constraints are not the profile's (4.2.1.9)"
    yield from _usages(found, profile)
    if not profile.is_ca and not profile.ocsp_no_check and ExtensionOID.SUBJECT_ALTERNATIVE_NAME not in found:
        yield "it has no subject alternative name"
    if authority:
        yield from _pointers(found, profile)


def _usages(found: _Extensions, profile: Profile) -> Iterator[str]:
    usage = found.get(ExtensionOID.KEY_USAGE)
    if not usage or usage.value != key_usage_of(profile):
        yield "its key usage is not the profile's (4.2.1.3)"
    extended = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
    wanted = x509.ExtendedKeyUsage(profile.extended_key_usage) if profile.extended_key_usage else None
    if (extended.value if extended else None) != wanted:
        yield "its extended key usage is not the profile's (4.2.1.12)"
    if (ExtensionOID.OCSP_NO_CHECK in found) != profile.ocsp_no_check:
        yield "id-pkix-ocsp-nocheck is not as in the profile (RFC 6960 4.2.2.2.1)"


def _pointers(found: _Extensions, profile: Profile) -> Iterator[str]:
    access = found.get(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    if not access:
        yield "it does not say where its issuer's certificate is (4.2.2.1)"
    elif not profile.ocsp_no_check:
        assert isinstance(access.value, x509.AuthorityInformationAccess)
        methods = {description.access_method for description in access.value}
        if AuthorityInformationAccessOID.OCSP not in methods:
            yield "it does not say where OCSP answers (4.2.2.1)"
    if not profile.ocsp_no_check and ExtensionOID.CRL_DISTRIBUTION_POINTS not in found:
        yield "it does not say where its CRL is (4.2.1.13)"
