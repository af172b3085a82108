"""The findings on what brokers hold beside the policy: accounts that nobody knows, changes that wait for a choice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from brokers import queries
from brokers.core.values import Broker, OnDrift, SyncState
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

UNKNOWN = "broker-unknown-accounts"
CHANGED = "broker-changed-by-hand"
_SHOWN = 5


class ByHandFindings:
    """What needs attention about what somebody did on brokers by hand."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return [(UNKNOWN, Severity.WARNING), (CHANGED, Severity.WARNING)]

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """At most one of each code for each broker, as far as was last seen."""
        del now
        for broker in queries.list_brokers(domains=None if domains is None else list(domains)):
            if broker.unknown_account_count:
                yield _unknown(broker)
            if broker.on_drift is OnDrift.ASK and broker.sync is SyncState.DRIFT:
                remedy = "Correct it or adopt it on the broker's page: it stays until somebody chooses."
                yield _finding(CHANGED, broker, f"It is not as it should be. {broker.detail[:300]}", remedy)


def _unknown(broker: Broker) -> Finding:
    shown = [name[:80] for name in broker.unknown_accounts[:_SHOWN]]
    more = broker.unknown_account_count - len(shown)
    named = ", ".join(shown) + (f" and {more} more" if more else "")
    detail = f"It has accounts that Gatehouse did not make: {named}. What they may do, the policy does not say."
    remedy = "Delete those that nobody needs on the broker, and acknowledge the others on the broker's page."
    return _finding(UNKNOWN, broker, detail, remedy)


def _finding(code: str, broker: Broker, detail: str, remedy: str) -> Finding:
    return Finding(
        code=code,
        severity=Severity.WARNING,
        subject=Subject(kind="brokers.broker", id=str(broker.id), label=broker.name),
        domain=broker.domain,
        detail=detail,
        remedy=remedy,
    )
