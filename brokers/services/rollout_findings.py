"""Rollouts that somebody has to look at: those that are paused, and those that wait for a broker for long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from brokers.services.rollout_signs import brokers_of, obeys
from devices.core.rollouts import Rollout, RolloutState
from devices.queries.rollouts import rollouts_under_way
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

PAUSED = "rollout-paused"
WAITING = "rollout-waiting"
_LONG = timedelta(minutes=15)


class RolloutFindings:
    """What needs attention about changes that come in waves."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return [(PAUSED, Severity.WARNING), (WAITING, Severity.WARNING)]

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """One for each that nothing moves any more."""
        for rollout in rollouts_under_way(domains=domains):
            present = rollout.records[-1]
            if rollout.state is RolloutState.PAUSED:
                why = f" {rollout.note}" if rollout.note else ""
                yield _finding(PAUSED, rollout, f"It is paused.{why}", since=None)
            elif present.obeyed_at is None and now - present.entered_at >= _LONG:
                brokers = brokers_of(rollout, wave=rollout.wave)
                late = ", ".join(broker.name for broker in brokers if not obeys(broker, rollout))
                yield _finding(WAITING, rollout, f"It waits for {late}.", since=present.entered_at)


def _finding(code: str, rollout: Rollout, detail: str, *, since: datetime | None) -> Finding:
    return Finding(
        code=code,
        severity=Severity.WARNING,
        subject=Subject(kind="devices.rollout", id=str(rollout.id), label=f"Change {rollout.number}: {rollout.title}"),
        domain=rollout.domain,
        detail=f"{rollout.sentence} {detail}",
        remedy="Watch its wave again, bring the next one, or roll it back: until then nobody can change the policy.",
        since=since,
    )
