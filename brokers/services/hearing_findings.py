"""The finding that something which a broker told is nowhere written down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from django.db.models import Sum

from brokers import models
from brokers.services.session_room import MOST_OF_DEVICE, MOST_OF_NOBODY
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

LOST = "access-events-lost"
_LATELY = timedelta(days=1)
_REMEDY = (
    "See the logs of listen and web: either the database was away or slow for long, strangers knock at the broker very "
    f"often, or it claims more than {MOST_OF_DEVICE} sessions of a device or {MOST_OF_NOBODY:,} of unknown names. If "
    "nothing else explains that, somebody else has its secret: make another and revoke this one."
)


class HearingFindings:
    """What needs attention about what brokers tell."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return [(LOST, Severity.WARNING)]

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """One for each broker of which something was lost today or yesterday (UTC)."""
        rows = models.HeardDay.objects.filter(day__gte=(now - _LATELY).date(), lost__gt=0)
        if domains is not None:
            rows = rows.filter(broker__domain_id__in=domains)
        lost = rows.values_list("broker_id", "broker__name", "broker__domain_id").annotate(Sum("lost"))
        for broker, name, domain, count in lost.order_by("broker__name"):
            yield Finding(
                code=LOST,
                severity=Severity.WARNING,
                subject=Subject(kind="brokers.broker", id=str(broker), label=name),
                domain=DomainId(domain),
                detail=f"{count} things that it told today or yesterday are not in the access log.",
                remedy=_REMEDY,
            )
