"""How many certificates issuers have: good ones now, and issued day by day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import TruncDay

from pki.core.values import CertificateState, IssuerId
from pki.models import Certificate
from pki.queries.certificates import APPROXIMATE_FROM


def count_good(*, issuers: Collection[IssuerId], now: datetime) -> dict[IssuerId, int]:
    """How many certificates of each issuer are good now; counted up to 10,000 and no further."""
    return {
        issuer: Certificate.objects.filter(issuer_id=issuer, state=CertificateState.ISSUED, not_after__gt=now)
        .order_by()[:APPROXIMATE_FROM]
        .count()
        for issuer in issuers
    }


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
