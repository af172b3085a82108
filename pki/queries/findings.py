"""The findings of the certificate authority: what is read here, judged by the rules of core."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from django.core.cache import cache
from django.db.models import Count, Min

from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from pki.conf import base_url
from pki.core.finding_codes import CODES
from pki.core.freshness_findings import find_in_freshness
from pki.core.issuer_findings import find_in_issuer, find_in_request
from pki.core.key_findings import (
    UNSTORED_FOR,
    Probe,
    WeakCertificate,
    find_in_address,
    find_unstored,
    find_weak_keys,
)
from pki.core.values import CertificateState, IssuerState
from pki.models import Certificate, Issuer, PublicKeyHolder
from pki.queries.freshness import list_freshness, list_open_requests

PROBE_KEY = "pki.probe"
MOST_WEAK_KEYS = 1_000
"""More than anybody reads one by one: with so many, what made them is the finding."""


class PkiFindings:
    """What needs attention about issuers, what they publish, certificates and keys."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return CODES.items()

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """What is the matter now."""
        issuers = list_freshness(domains=domains, now=now)
        for issuer in issuers:
            yield from find_in_freshness(issuer, now=now)
            yield from find_in_issuer(issuer, now=now)
        for request in list_open_requests(domains=domains):
            yield find_in_request(request, now=now)
        for finding in find_weak_keys(_weak_certificates(now=now)):
            if domains is None or finding.domain in domains:
                yield finding
        yield from _unstored(domains, now=now)
        if issuers:
            yield from find_in_address(url=base_url(), probe=last_probe(), now=now)


def last_probe() -> Probe | None:
    """How our own CRL's address answered when it was last asked; None if it was not lately."""
    found = cache.get(PROBE_KEY)
    return found if isinstance(found, Probe) else None


def _weak_certificates(*, now: datetime) -> list[WeakCertificate]:
    """Good certificates of weak keys in every domain, since factors are shared across them; at most MOST_WEAK_KEYS.

    An issuer has no certificate here if it is a root, or another's.
    """
    weak = {
        sha256: (holder, weakness)
        for sha256, holder, weakness in PublicKeyHolder.objects.exclude(weakness="")
        .order_by("weakness", "public_key_sha256")
        .values_list("public_key_sha256", "holder", "weakness")[:MOST_WEAK_KEYS]
    }
    rows = Certificate.objects.filter(
        holder__in={holder for holder, _ in weak.values()},
        public_key_sha256__in=weak,
        state=CertificateState.ISSUED,
        not_after__gt=now,
    )
    found = [
        WeakCertificate(
            subject=Subject(kind="pki.certificate", id=str(row.id), label=row.serial),
            domain=DomainId(row.domain_id),
            holder=row.holder,
            weakness=weak[row.public_key_sha256][1],
            not_before=row.not_before,
        )
        for row in rows.only("serial", "domain_id", "holder", "public_key_sha256", "not_before").order_by("id")
    ]
    told = {each.holder for each in found}
    slugs = {holder.removeprefix("issuer:"): weakness for holder, weakness in weak.values() if holder not in told}
    issuers = Issuer.objects.filter(slug__in=slugs, not_after__gt=now).exclude(state=IssuerState.RETIRED)
    found += [
        WeakCertificate(
            subject=Subject(kind="pki.issuer", id=str(row.id), label=row.slug),
            domain=DomainId(row.domain_id),
            holder=f"issuer:{row.slug}",
            weakness=slugs[row.slug],
            not_before=row.not_before,
        )
        for row in issuers.defer("der").order_by("id")
    ]
    return found


def _unstored(domains: Collection[DomainId] | None, *, now: datetime) -> Iterator[Finding]:
    rows = Certificate.objects.filter(state=CertificateState.REQUESTED, requested_at__lt=now - UNSTORED_FOR)
    if domains is not None:
        rows = rows.filter(domain_id__in=domains)
    counted = rows.order_by().values("domain_id").annotate(count=Count("id"), oldest=Min("requested_at"))
    for each in counted:
        yield find_unstored(domain=DomainId(each["domain_id"]), count=each["count"], oldest=each["oldest"])
