"""Every code that the certificate authority finds, how bad it is, and how a finding is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

CODES: Mapping[str, Severity] = {
    "crl-missing": Severity.CRITICAL,
    "crl-overdue": Severity.CRITICAL,
    "crl-not-begun": Severity.CRITICAL,
    "ocsp-signer-missing": Severity.CRITICAL,
    "issuer-ended": Severity.CRITICAL,
    "issuer-revoked-with-leaves": Severity.CRITICAL,
    "key-shared-factor": Severity.CRITICAL,
    "key-weak": Severity.CRITICAL,
    "crl-lacks-revocations": Severity.ERROR,
    "issuer-ends-in-30-days": Severity.ERROR,
    "crl-ageing": Severity.WARNING,
    "ocsp-signer-ageing": Severity.WARNING,
    "issuer-ends-in-90-days": Severity.WARNING,
    "issuer-shortens-leaves": Severity.WARNING,
    "offline-crl-due": Severity.WARNING,
    "signing-request-waits": Severity.WARNING,
    "certificate-never-stored": Severity.WARNING,
    "pki-url-needs-tls": Severity.WARNING,
    "pki-url-does-not-answer": Severity.ERROR,
    "signing-request-open": Severity.INFO,
    "issuer-can-be-retired": Severity.INFO,
    "pki-url-is-local": Severity.INFO,
}
"""A code has one severity, for ever: alerts are written against codes."""


def make_finding(
    code: str,
    *,
    subject: Subject,
    domain: DomainId | None,
    detail: str,
    remedy: str,
    since: datetime | None = None,
) -> Finding:
    """A finding of a code in CODES."""
    return Finding(
        code=code,
        severity=CODES[code],
        subject=subject,
        domain=domain,
        detail=detail,
        remedy=remedy,
        since=since,
    )
