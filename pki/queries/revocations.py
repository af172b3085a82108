"""Reading what was revoked and what is on hold, the newest first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from kernel.core.ids import DomainId
from pki.core.values import CertificateState, IssuedCertificate, IssuerId, ReasonCode
from pki.models import Certificate
from pki.queries.certificates import CERTIFICATES

NEWEST = 2_000
_TAKEN = [CertificateState.REVOKED, CertificateState.HELD]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPlace:
    """The sort key of a row of the list."""

    revoked_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCounts:
    """How often each reason was given among the newest 2,000 revocations and holds, the most frequent first.

    `total` is how many these are; `is_all` says that there are no others.
    """

    reasons: tuple[tuple[ReasonCode, int], ...]
    total: int
    is_all: bool


def list_revocations(
    *, domain: DomainId, reason: ReasonCode | None = None, after: RevocationPlace | None = None, limit: int = 50
) -> list[IssuedCertificate]:
    """At most `limit` of the domain's revoked and held certificates behind the place `after`."""
    rows = _taken(CERTIFICATES, domain)
    if reason is not None:
        rows = rows.filter(reason=reason)
    if after is not None:
        behind = Q(revoked_at__lt=after.revoked_at) | Q(revoked_at=after.revoked_at, id__lt=after.id)
        rows = rows.filter(behind, revoked_at__lte=after.revoked_at)
    return [row.as_value() for row in rows.order_by("-revoked_at", "-id")[:limit]]


def holders_taken_away(*, issuer: IssuerId, after: int, up_to: int, now: datetime) -> frozenset[str]:
    """Who holds a certificate that was revoked or held since the issuer's revision `after`, and has not ended."""
    rows = Certificate.objects.filter(issuer_id=issuer, changed_revision__gt=after, changed_revision__lte=up_to)
    return frozenset(rows.filter(state__in=_TAKEN, not_after__gt=now).order_by().values_list("holder", flat=True))


def count_reasons(*, domain: DomainId) -> ReasonCounts:
    """Why certificates were revoked lately; it costs no more for a million."""
    newest = _taken(Certificate.objects.all(), domain).order_by("-revoked_at", "-id")
    counted = Counter(newest.values_list("reason", flat=True)[:NEWEST])
    found = [(ReasonCode(reason), count) for reason, count in counted.most_common()]
    total = sum(count for _, count in found)
    return ReasonCounts(reasons=tuple(found), total=total, is_all=total < NEWEST)


def _taken(rows: QuerySet[Certificate], domain: DomainId) -> QuerySet[Certificate]:
    return rows.filter(domain_id=domain, state__in=_TAKEN)
