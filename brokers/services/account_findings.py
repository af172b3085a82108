"""The finding that a broker has accounts that Gatehouse did not make and nobody acknowledged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from brokers import queries
from brokers.core.values import Broker
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

UNKNOWN = "broker-unknown-accounts"
_SHOWN = 5


class AccountFindings:
    """What needs attention about accounts that brokers have."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return [(UNKNOWN, Severity.WARNING)]

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """One for each broker that has such accounts, as far as was last seen."""
        del now
        for broker in queries.list_brokers(domains=None if domains is None else list(domains)):
            if broker.unknown_account_count:
                yield _finding(broker)


def _finding(broker: Broker) -> Finding:
    shown = [name[:80] for name in broker.unknown_accounts[:_SHOWN]]
    more = broker.unknown_account_count - len(shown)
    named = ", ".join(shown) + (f" and {more} more" if more else "")
    return Finding(
        code=UNKNOWN,
        severity=Severity.WARNING,
        subject=Subject(kind="brokers.broker", id=str(broker.id), label=broker.name),
        domain=broker.domain,
        detail=f"It has accounts that Gatehouse did not make: {named}. What they may do, the policy does not say.",
        remedy="Delete those that nobody needs on the broker, and acknowledge the others on the broker's page.",
    )
