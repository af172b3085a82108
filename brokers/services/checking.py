"""Comparing a broker with the policy, and putting right what nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.outcomes import Comparison
from brokers.core.plans import policy_digest, rendering_digest, unaccepted
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, DesiredState, Rendering, Step
from brokers.core.taken_names import AccountTaken, due
from brokers.core.values import BrokerId, OnDrift, SyncState
from brokers.services import records
from brokers.services.accounts import note_accounts
from brokers.services.converging import UNMANAGED, converge_whole
from brokers.services.desired import desired_state
from brokers.services.lease import BrokerBusy, Lease, lease_on
from brokers.services.shut_out import correct_shut_out
from kernel.core.errors import DomainError
from kernel.core.ids import DomainId

# Long enough for people to see what was changed by hand, and to ask who did it, before it is put right.
DRIFT_STANDS = timedelta(minutes=2)
_SHOWN = 200
_REWRITTEN = (
    "The same policy is written in another way now, as after an update of Gatehouse; that may be some of this, or all."
)
_NOT_GRANTED = (
    "Rules by which the broker would allow more than the policy are granted to nobody: change them, or accept the "
    "deviations with a plan."
)


def compare_broker(*, broker: BrokerId, now: datetime) -> Comparison:
    """How the broker differs from the policy now. Changes nothing there, and waits for nobody.

    It is noted, unless somebody else had the right to write there meanwhile. Raises BrokerUnreachable.
    """
    row = models.Broker.objects.get(id=broker)
    return _outcome(_compare(row, now=now), now=now, note=row.lease_until is None)


def check_drift(*, broker: BrokerId, now: datetime) -> Comparison:
    """The same, and puts right what has to be: at once after an outage, a lost state or a missed change; a change made
    by hand once it has stood for two minutes, or not before somebody says so, if the broker's `on_drift` is `ask`; what
    a device has that is shut out is taken from it in any case. A broker that does not answer, or can not be compared,
    is an outcome here, not an error; so is an eviction, which goes first: then nothing is noted before the next check.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None:
        return Comparison(sync=SyncState.UNKNOWN, differences=(), count=0, detail="It is no longer registered.")
    try:
        if row.managed_since is None:
            return _greet(row, now=now)
        return _compare_and_correct(row, now=now)
    except BrokerUnreachable as error:
        records.note_unreachable(broker=broker, now=now, detail=error.detail)
        return Comparison(sync=SyncState.UNREACHABLE, differences=(), count=0, detail=error.detail)
    except BrokerBusy as error:
        return Comparison(sync=SyncState(row.sync), differences=(), count=0, detail=error.detail)
    except DomainError as error:
        records.note_refused(broker=broker, now=now, detail=error.detail)
        sync = SyncState(row.sync) if row.managed_since is None else SyncState.PENDING
        return Comparison(sync=sync, differences=(), count=0, detail=error.detail)


def _greet(row: models.Broker, *, now: datetime) -> Comparison:
    """Whether a broker answers that nothing was applied to yet."""
    applied = adapter_for(queries.link_to(broker=BrokerId(row.id))).read(only=frozenset())
    sync = SyncState.UNKNOWN if row.sync == SyncState.UNREACHABLE else SyncState(row.sync)
    records.note_contact(broker=BrokerId(row.id), now=now, version=applied.version, sync=sync, detail="")
    return Comparison(sync=sync, differences=(), count=0, detail=UNMANAGED)


def _compare_and_correct(row: models.Broker, *, now: datetime) -> Comparison:
    broker = BrokerId(row.id)
    with lease_on(broker=broker, now=now) as lease:
        row.refresh_from_db()
        if row.sync in (SyncState.IN_SYNC, SyncState.DRIFT) or _may_ask_after_an_outage(row):
            found = _compare(row, lease, now=now)
            if found.is_by_hand and (row.on_drift == OnDrift.ASK or not _has_stood(row, now)):
                if correct_shut_out(
                    row, found.adapter, found.desired, found.steps, lease, foreign=found.applied.foreign
                ):
                    found = _compare(row, lease, now=now)
                return _outcome(found, now=now)
            if row.sync != SyncState.UNREACHABLE and not due(found.steps):
                return _outcome(found, now=now)
        try:
            outcome = converge_whole(row, lease)
        except AccountTaken as error:  # and all else is made
            return Comparison(sync=SyncState.DRIFT, differences=(error.detail,), count=1, detail=error.detail)
    return Comparison(sync=outcome.sync, differences=(), count=outcome.steps, detail=outcome.detail)


def _may_ask_after_an_outage(row: models.Broker) -> bool:
    """Whether a broker that was away may still differ by somebody's hand: what it held before is known."""
    return row.on_drift == OnDrift.ASK and row.sync == SyncState.UNREACHABLE and bool(row.desired_digest)


@dataclass(frozen=True)
class _Found:
    """What one comparison found; `row` is as it was when that began. What takes long is worked out once, if at all."""

    row: models.Broker
    adapter: BrokerAdapter
    applied: AppliedState
    desired: DesiredState
    steps: tuple[Step, ...]

    @cached_property
    def rendering(self) -> Rendering:
        return self.adapter.render(self.desired)

    @cached_property
    def digest(self) -> str:
        return rendering_digest(self.rendering)

    @cached_property
    def says_the_same(self) -> bool:
        """Whether what was last verified on the broker was the same policy, perhaps written in another way."""
        return self.row.on_drift == OnDrift.ASK and self.row.policy_digest == policy_digest(self.desired)

    @cached_property
    def is_by_hand(self) -> bool:
        """Whether the broker was changed, as against a policy change that is on its way or a state that is lost.

        Where somebody has to be asked, a device that was shut out meanwhile, or let in, makes nobody's hand ours.
        """
        asks, known = self.row.on_drift == OnDrift.ASK, self.row.desired_digest
        if not self.steps or (known != self.digest and not (asks and (not known or self.says_the_same))):
            return False
        from_nothing = self.adapter.plan(self.desired, AppliedState(artifact=""))
        return self.steps != from_nothing if asks else len(self.steps) < len(from_nothing)


def _compare(row: models.Broker, lease: Lease | None = None, *, now: datetime) -> _Found:
    """Raises BrokerBusy if the lease under which it is done was lost meanwhile: then nothing that it saw counts."""
    broker, keep = BrokerId(row.id), lease.keep if lease else lambda: None
    adapter = adapter_for(queries.link_to(broker=broker))
    try:
        applied = adapter.read()
    except BrokerUnreachable as error:
        records.note_unreachable(broker=broker, now=now, detail=error.detail)
        raise
    keep()
    desired = desired_state(domain=DomainId(row.domain_id), broker=broker, now=now, pause=keep)
    keep()
    note_accounts(broker=broker, desired=desired, applied=applied)
    steps = adapter.plan(desired, applied)
    keep()
    return _Found(row=row, adapter=adapter, applied=applied, desired=desired, steps=steps)


def _has_stood(row: models.Broker, now: datetime) -> bool:
    return row.drifted_at is not None and row.drifted_at + DRIFT_STANDS <= now


def _outcome(found: _Found, *, now: datetime, note: bool = True) -> Comparison:
    """What was found: in sync, drift, or a change that is still to come. Noted, unless its ground is another now."""
    row, steps = found.row, found.steps
    sync, detail, drifted_at = SyncState.IN_SYNC, " ".join(found.rendering.warnings), None
    is_found = row.desired_digest == found.digest
    if steps:
        rewritten = row.desired_digest not in ("", found.digest) and found.says_the_same
        drifted = row.managed_since is not None and (rewritten or row.desired_digest in ("", found.digest))
        sync = SyncState.DRIFT if drifted else SyncState.PENDING
        drifted_at = (row.drifted_at or now) if drifted else None
        detail = f"{_REWRITTEN} {_sentence(steps)}" if rewritten else _sentence(steps)
    elif _is_withheld(found):
        sync, detail = SyncState.PENDING, _NOT_GRANTED
    else:
        is_found = True
    if row.managed_since is None:
        sync = SyncState.UNKNOWN
    if note:
        records.note_seen(
            row,
            now=now,
            version=found.applied.version,
            sync=sync,
            detail=detail,
            drifted_at=drifted_at,
            **(records.verified(row, found.desired, found.digest) if is_found else {}),
        )
    shown = tuple(step.summary for step in steps[:_SHOWN])
    return Comparison(sync=sync, differences=shown, count=len(steps), detail=detail)


def _is_withheld(found: _Found) -> bool:
    """Whether a broker that asks gets less than the policy, since nobody has accepted what it would allow beyond it."""
    waits = unaccepted(found.rendering.deviations, found.row.accepted_deviations)
    return bool(waits) and not found.adapter.capabilities.stores_policy


def _sentence(steps: tuple[Step, ...]) -> str:
    counted = "1 difference" if len(steps) == 1 else f"{len(steps)} differences; the first"
    return f"{counted}: {steps[0].summary}"
