"""Counting certificates: from indexes alone, and remembered for a minute, so that a million may be asked for often."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from django.core.cache import cache
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncWeek

from kernel.core.ids import DomainId
from pki.core.values import CertificateState
from pki.models import Certificate, Issuer

REMEMBERED_SECONDS = 60
_OTHERS = [CertificateState.REQUESTED, CertificateState.HELD, CertificateState.REVOKED]


def count_by_state(*, now: datetime) -> Mapping[str, int]:
    """How many certificates are `good`, `ended` (issued once, and past their end), held, revoked and requested."""

    def count() -> dict[str, int]:
        issued = _good(None)
        good, ended = issued.filter(not_after__gt=now).count(), issued.filter(not_after__lte=now).count()
        others = Certificate.objects.filter(state__in=_OTHERS).order_by().values("state").annotate(count=Count("*"))
        counted = {each["state"]: each["count"] for each in others}
        found = {state.value: counted.get(state.value, 0) for state in _OTHERS}
        return {"good": good, "ended": ended, **found}

    return cast("dict[str, int]", cache.get_or_set("pki.count_by_state", count, REMEMBERED_SECONDS))


def begin_of_week(moment: datetime) -> datetime:
    """Midnight of the Monday before, in UTC."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def count_ending_by_week(
    *, domains: Collection[DomainId] | None, now: datetime, weeks: int = 12
) -> Sequence[tuple[datetime, int]]:
    """The Monday and the number of good certificates that end from then on, for this week and those after it.

    What has ended already is not counted.
    """
    monday = begin_of_week(now)
    whom = "all" if domains is None else ",".join(sorted(map(str, domains)))

    def count() -> dict[datetime, int]:
        rows = _good(domains).filter(not_after__gt=now, not_after__lt=monday + timedelta(weeks=weeks))
        counted = rows.annotate(week=TruncWeek("not_after", tzinfo=UTC)).values("week").annotate(count=Count("*"))
        return {each["week"]: each["count"] for each in counted}

    key = f"pki.ending:{monday:%Y%m%d}:{weeks}:{whom}"
    kept = cache.get_or_set(key, count, REMEMBERED_SECONDS) if len(key) < 200 else count()
    found = cast("dict[datetime, int]", kept)
    return [(week, found.get(week, 0)) for week in (monday + timedelta(weeks=number) for number in range(weeks))]


def _good(domains: Collection[DomainId] | None) -> QuerySet[Certificate]:
    """Those that are neither revoked nor held. By issuer, so that a span of ends is a span of the index."""
    issuers = Issuer.objects.all() if domains is None else Issuer.objects.filter(domain_id__in=domains)
    found = list(issuers.order_by().values_list("id", flat=True))
    return Certificate.objects.filter(state=CertificateState.ISSUED, issuer_id__in=found).order_by()
