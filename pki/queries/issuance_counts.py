"""How many certificates issuers have: good ones now, and issued day by day."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import TruncDay

from pki.core.values import CertificateState, IssuerId, IssuerState
from pki.models import Certificate
from pki.models import Issuer as IssuerRow
from pki.queries.certificates import APPROXIMATE_FROM


def count_good(*, issuers: Collection[IssuerId], now: datetime) -> dict[IssuerId, int]:
    """How many certificates of each issuer are good now; counted up to 10,000 and no further."""
    return {
        issuer: Certificate.objects.filter(issuer_id=issuer, state=CertificateState.ISSUED, not_after__gt=now)
        .order_by()[:APPROXIMATE_FROM]
        .count()
        for issuer in issuers
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependents:
    """Who depends on an issuer: its good certificates, counted up to 10,000, the last one's end, and CAs below it."""

    certificates: int
    is_all: bool
    ends_at: datetime | None
    issuers: tuple[str, ...]


def find_dependents(*, issuer: IssuerId, now: datetime) -> Dependents:
    """Who would be refused if nobody believed the issuer any more; its own OCSP signers do not count."""
    rows = Certificate.objects.filter(issuer_id=issuer, state=CertificateState.ISSUED, not_after__gt=now)
    rows = rows.exclude(holder__startswith="ocsp:")
    living = [IssuerState.ACTIVE, IssuerState.SUPERSEDED]
    below = IssuerRow.objects.filter(parent_id=issuer, not_after__gt=now, state__in=living).order_by("id")
    count = rows.order_by()[:APPROXIMATE_FROM].count()
    return Dependents(
        certificates=count,
        is_all=count < APPROXIMATE_FROM,
        ends_at=rows.order_by("-not_after").values_list("not_after", flat=True).first(),
        issuers=tuple(below.values_list("slug", flat=True)),
    )


def count_issued_by_day(*, issuer: IssuerId, begin: datetime, end: datetime) -> dict[date, int]:
    """How many certificates were asked of the issuer on each day (UTC) from `begin` to before `end`; none are left out.

    The domain's are read by their ids, which begin with the time; so it costs what was issued then, not what ever was.
    """
    rows = Certificate.objects.filter(
        issuer_id=issuer, id__gte=_first_id(begin), id__lt=_first_id(end), requested_at__gte=begin, requested_at__lt=end
    )
    counted = (
        rows.order_by().annotate(day=TruncDay("requested_at", tzinfo=UTC)).values("day").annotate(count=Count("id"))
    )
    return {row["day"].date(): row["count"] for row in counted}


def _first_id(moment: datetime) -> UUID:
    """The smallest UUIDv7 of the moment's millisecond (RFC 9562 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
