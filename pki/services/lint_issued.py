"""Linting a certificate that there is, by the rules of today and the version of the profile that it was made by."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from kernel.core.ids import DomainId
from pki.core.lint import lint_certificate
from pki.core.lint_findings import LintFinding
from pki.core.profiles import UnknownProfile
from pki.core.values import CertificateId
from pki.models import Certificate
from pki.queries import UnknownCertificate, find_profile
from pki.services.custody import authority_of


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedLint:
    """What the lint finds. `unlooked` says why nothing was looked at; empty if it was."""

    findings: tuple[LintFinding, ...]
    unlooked: str = ""


def lint_issued(*, certificate: CertificateId) -> IssuedLint:
    """What is not as RFC 5280 and its profile want it, in a certificate of ours. Raises UnknownCertificate."""
    row = Certificate.objects.select_related("issuer").filter(id=certificate).first()
    if row is None:
        raise UnknownCertificate("There is no such certificate: list the certificates to see those there are.")
    if not row.der:
        return IssuedLint(findings=(), unlooked="It was never signed, or is known by its serial number alone.")
    try:
        profile = find_profile(domain=DomainId(row.domain_id), name=row.profile, version=row.profile_version)
    except UnknownProfile:
        return IssuedLint(findings=(), unlooked=f"It was made by no profile of ours: {row.profile}.")
    parsed = x509.load_der_x509_certificate(bytes(row.der))
    found = lint_certificate(parsed, profile=profile, authority=authority_of(row.issuer, shard=row.shard))
    return IssuedLint(findings=tuple(found))
