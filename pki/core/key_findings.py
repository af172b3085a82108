"""Findings of keys and certificates: weak keys in use, requests that were never stored, and where CRLs are found."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from kernel.core.findings import Finding
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from pki.core.finding_codes import make_finding
from pki.core.weakness import Weakness

UNSTORED_FOR = timedelta(minutes=15)
"""A request is given up after ten minutes, by a task that runs each minute."""

SILENT_FOR = timedelta(minutes=2)
"""Our own address is asked each minute, and first while the processes are still starting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakCertificate:
    """A good certificate, or an issuer in use, whose key is weak. `weakness` as it stands beside the key."""

    subject: Subject
    domain: DomainId
    holder: str
    weakness: str
    not_before: datetime


def find_weak_keys(found: Sequence[WeakCertificate]) -> Iterator[Finding]:
    """A finding for each certificate; one of a shared factor names the other holders, but not another domain's."""
    groups: dict[str, set[tuple[DomainId, str]]] = {}
    for each in found:
        groups.setdefault(each.weakness, set()).add((each.domain, each.holder))
    for each in found:
        weakness = Weakness.parse(each.weakness)
        if weakness.group:
            others = {
                holder if domain == each.domain else "a key of another domain"
                for domain, holder in groups[each.weakness]
                if holder != each.holder
            }
            with_whom = ", ".join(sorted(others)[:5]) or "a key that is in use no longer"
            yield make_finding(
                "key-shared-factor",
                subject=each.subject,
                domain=each.domain,
                detail=f"The RSA key of {each.holder} shares a prime with {with_whom}: anybody can work out both.",
                remedy="Revoke it with reason keyCompromise. Make new keys with a good source of random numbers: "
                "devices that make keys right after they are switched on often have none.",
                since=each.not_before,
            )
        else:
            yield make_finding(
                "key-weak",
                subject=each.subject,
                domain=each.domain,
                detail=f"The key of {each.holder} is weak: {weakness.words}.",
                remedy="Revoke it with reason keyCompromise, and make a new key elsewhere.",
                since=each.not_before,
            )


def find_unstored(*, domain: DomainId, count: int, oldest: datetime) -> Finding:
    """That certificates were asked for and neither stored nor given up."""
    what = "1 certificate was" if count == 1 else f"{count} certificates were"
    return make_finding(
        "certificate-never-stored",
        subject=Subject(kind="pki.certificate", id=f"requested/{domain}"),
        domain=domain,
        detail=f"{what} asked for and never stored: they may have been signed.",
        remedy="The task pki.refresh revokes them: see that a worker for the queue pki is running.",
        since=oldest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How our own CRL's address answered when it was last asked. `fault` is empty if it did."""

    url: str
    fault: str
    since: datetime


def find_in_address(*, url: str, probe: Probe | None, now: datetime) -> Iterator[Finding]:
    """What is the matter with the address that goes into certificates for CRLs, OCSP and issuers."""
    parts = urlsplit(url)
    subject = Subject(kind="pki.address", id=url, label=url)
    if parts.scheme == "https":
        yield make_finding(
            "pki-url-needs-tls",
            subject=subject,
            domain=None,
            detail="Certificates name https addresses for CRLs and OCSP: most relying parties do not follow them, "
            "since checking the certificate of that server would lead here again (RFC 5280 8).",
            remedy="Let the proxy pass /pki/ on over plain http as well, and name that in GATEHOUSE_PKI_URL.",
        )
    elif _is_local(parts.hostname or ""):
        yield make_finding(
            "pki-url-is-local",
            subject=subject,
            domain=None,
            detail=f"Certificates name {parts.hostname} for CRLs and OCSP: only this machine finds them there.",
            remedy="Set GATEHOUSE_BASE_URL, or GATEHOUSE_PKI_URL, to a name that devices and brokers can reach.",
        )
    if probe is not None and probe.fault and now - probe.since >= SILENT_FOR:
        yield make_finding(
            "pki-url-does-not-answer",
            subject=subject,
            domain=None,
            detail=f"{probe.url} does not answer here: {probe.fault}.",
            remedy="See that a web process is running, and that the address leads to its /pki/ over plain http.",
            since=probe.since,
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
