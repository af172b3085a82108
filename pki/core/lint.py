"""Quick rules that every certificate passes before it is signed with the real key (RFC 5280 4)."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtensionOID

from kernel.core.errors import Conflict
from pki.core import der
from pki.core.certificates import Authority, kind_fits
from pki.core.key_kinds import kind_of
from pki.core.lint_extensions import Extensions, extension_findings
from pki.core.lint_findings import LintFinding, Severity, error, warning
from pki.core.lint_names import alternative_findings, constraint_findings, subject_findings
from pki.core.names import ATTRIBUTES
from pki.core.profile import BeyondIssuer, Profile


class LintFailure(Conflict):
    """The certificate that would have come out is not what it should be; nothing was signed."""

    code = "certificate-lint"


def check(certificate: x509.Certificate, *, profile: Profile, authority: Authority | None) -> None:
    """Raises LintFailure with every error; what is less than an error does not stop it."""
    findings = lint_certificate(certificate, profile=profile, authority=authority)
    if errors := [str(finding) for finding in findings if finding.severity is Severity.ERROR]:
        raise LintFailure("The certificate was not signed, since it would be wrong: " + "; ".join(errors) + ".")


def lint_certificate(
    certificate: x509.Certificate, *, profile: Profile, authority: Authority | None
) -> list[LintFinding]:
    """Everything that is not as RFC 5280 and the profile want it; without `authority` it is to be self-signed."""
    found = [*_frame(certificate, authority), *_validity(certificate, profile, authority)]
    try:
        public_key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as fault:
        return [*found, error("key-unreadable", "RFC 5280 4.1.2.7", f"its key can not be read back: {fault}")]
    found.extend(_key(certificate, public_key, profile))
    try:
        extensions: Extensions = {each.oid: each for each in certificate.extensions}
    except x509.DuplicateExtension:
        return [*found, error("extension-repeated", "RFC 5280 4.2", "an extension stands twice")]
    except ValueError as fault:
        return [*found, error("extension-unreadable", "RFC 5280 4.2", f"an extension can not be read back: {fault}")]
    found.extend(_names(certificate, extensions, profile, authority))
    return [*found, *extension_findings(public_key, extensions, profile, authority)]


def _frame(certificate: x509.Certificate, authority: Authority | None) -> Iterator[LintFinding]:
    if certificate.version is not x509.Version.v3:
        yield error("version", "RFC 5280 4.1.2.1", "it is not version 3")
    if not 0 < certificate.serial_number < 1 << 159:
        yield error("serial-number", "RFC 5280 4.1.2.2", "its serial number is not positive in 20 octets")
    elif certificate.serial_number < 1 << 64:
        yield warning("serial-guessable", "RFC 5280 4.1.2.2", "its serial number is short enough to be guessed")
    if not [*certificate.issuer]:
        yield error("issuer-empty", "RFC 5280 4.1.2.4", "its issuer has no name")
    if certificate.issuer != (authority.name if authority else certificate.subject):
        yield error("issuer-name", "RFC 5280 4.1.2.4", "its issuer is not named as the issuer names itself")


def _validity(certificate: x509.Certificate, profile: Profile, authority: Authority | None) -> Iterator[LintFinding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin >= end:
        yield error("validity-order", "RFC 5280 4.1.2.5", "it ends before it begins")
    if authority and end > authority.not_after and profile.issuer_limits is not BeyondIssuer.ALLOW:
        yield error("validity-issuer", "", "it outlives its issuer")
    encoded = der.sequence(der.time(begin), der.time(end))
    if encoded not in certificate.tbs_certificate_bytes:
        yield error("validity-encoding", "RFC 5280 4.1.2.5", "it writes its times in the other sort of time")


def _key(certificate: x509.Certificate, public_key: PublicKeyTypes, profile: Profile) -> Iterator[LintFinding]:
    if not kind_fits(profile, kind_of(public_key)):
        yield error("key-kind", "", "its key is of a sort that its profile does not take")
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in {"sha256", "sha384", "sha512"}:
        yield error("signature-hash", "RFC 9155", f"its signature is over {algorithm.name}")


def _names(
    certificate: x509.Certificate, extensions: Extensions, profile: Profile, authority: Authority | None
) -> Iterator[LintFinding]:
    subject = certificate.subject
    yield from subject_findings(subject)
    if [each.oid for each in subject] != [ATTRIBUTES[part.attribute].oid for part in profile.subject_parts]:
        yield error("subject", "RFC 5280 4.1.2.6", "its subject is not made of what the profile says")
    alternative = extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    names = alternative.value if alternative else None
    assert names is None or isinstance(names, x509.SubjectAlternativeName)
    if len([*names] if names else ()) < max(len(profile.alternative_names), int(profile.needs_requested)):
        yield error("san-missing", "RFC 5280 4.2.1.6", "it has no subject alternative name, or too few")
    usage = extensions.get(ExtensionOID.EXTENDED_KEY_USAGE)
    usages = [*usage.value] if usage and isinstance(usage.value, x509.ExtendedKeyUsage) else []
    critical = bool(alternative and alternative.critical)
    yield from alternative_findings(names, critical=critical, subject=subject, usages=usages)
    if authority:
        for constraints in authority.constraints:
            yield from constraint_findings(constraints, subject=subject, names=names)
