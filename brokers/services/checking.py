"""Comparing a broker with the policy, and putting right what nobody asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.outcomes import Comparison
from brokers.core.plans import policy_digest, rendering_digest, unaccepted
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, DesiredState, Step
from brokers.core.taken_names import AccountTaken, due
from brokers.core.values import BrokerId, OnDrift, SyncState
from brokers.services import records
from brokers.services.accounts import note_accounts
from brokers.services.converging import UNMANAGED, converge_whole
from brokers.services.desired import desired_state
from brokers.services.lease import BrokerBusy, lease_on
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
    """How the broker differs from the policy now. Changes nothing there. Raises BrokerUnreachable."""
    row = models.Broker.objects.get(id=broker)
    adapter = adapter_for(queries.link_to(broker=broker))
    applied, desired, steps = _compare(row, adapter, now=now)
    return _note_comparison(row, adapter, applied, desired, steps, now=now)


def check_drift(*, broker: BrokerId, now: datetime) -> Comparison:
    """The same, and puts right what has to be: at once after an outage, a lost state or a missed change; a change made
    by hand once it has stood for two minutes, or not before somebody says so, if the broker's `on_drift` is `ask`; what
    a device has that is shut out is taken from it in any case. A broker that does not answer, or can not be compared,
    is an outcome here, not an error.
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
            adapter = adapter_for(queries.link_to(broker=broker))
            applied, desired, steps = _compare(row, adapter, now=now)
            by_hand = bool(steps) and _asked_by_nobody(row, adapter, desired, steps)
            if by_hand and row.on_drift == OnDrift.ASK:
                if correct_shut_out(row, adapter, desired, steps, lease, foreign=applied.foreign):
                    applied, desired, steps = _compare(row, adapter, now=now)
                return _note_comparison(row, adapter, applied, desired, steps, now=now)
            if row.sync != SyncState.UNREACHABLE and (not due(steps) or (by_hand and not _has_stood(row, now))):
                return _note_comparison(row, adapter, applied, desired, steps, now=now)
        try:
            outcome = converge_whole(row, lease)
        except AccountTaken as error:  # and all else is made
            return Comparison(sync=SyncState.DRIFT, differences=(error.detail,), count=1, detail=error.detail)
    return Comparison(sync=outcome.sync, differences=(), count=outcome.steps, detail=outcome.detail)


def _may_ask_after_an_outage(row: models.Broker) -> bool:
    """Whether a broker that was away may still differ by somebody's hand: what it held before is known."""
    return row.on_drift == OnDrift.ASK and row.sync == SyncState.UNREACHABLE and bool(row.desired_digest)


def _compare(
    row: models.Broker, adapter: BrokerAdapter, *, now: datetime
) -> tuple[AppliedState, DesiredState, tuple[Step, ...]]:
    try:
        applied = adapter.read()
    except BrokerUnreachable as error:
        records.note_unreachable(broker=BrokerId(row.id), now=now, detail=error.detail)
        raise
    desired = desired_state(domain=DomainId(row.domain_id), broker=BrokerId(row.id), now=now)
    note_accounts(broker=BrokerId(row.id), desired=desired, applied=applied)
    return applied, desired, adapter.plan(desired, applied)


def _asked_by_nobody(
    row: models.Broker, adapter: BrokerAdapter, desired: DesiredState, steps: tuple[Step, ...]
) -> bool:
    """Whether the broker was changed, as against a policy change that is on its way or a state that is lost.

    Where somebody has to be asked, a device that was shut out meanwhile, or let in, makes nobody's hand ours.
    """
    asks = row.on_drift == OnDrift.ASK
    if row.desired_digest != rendering_digest(adapter.render(desired)) and not (
        asks and (not row.desired_digest or _says_the_same(row, desired))
    ):
        return False
    from_nothing = adapter.plan(desired, AppliedState(artifact=""))
    return steps != from_nothing if asks else len(steps) < len(from_nothing)


def _says_the_same(row: models.Broker, desired: DesiredState) -> bool:
    """Whether what was last verified on the broker was the same policy, perhaps written in another way."""
    return row.on_drift == OnDrift.ASK and row.policy_digest == policy_digest(desired)


def _has_stood(row: models.Broker, now: datetime) -> bool:
    return row.drifted_at is not None and row.drifted_at + DRIFT_STANDS <= now


def _note_comparison(
    row: models.Broker,
    adapter: BrokerAdapter,
    applied: AppliedState,
    desired: DesiredState,
    steps: tuple[Step, ...],
    *,
    now: datetime,
) -> Comparison:
    """What was found, written down: in sync, drift, or a change that is still to come."""
    rendering = adapter.render(desired)
    digest = rendering_digest(rendering)
    sync, detail, drifted_at = SyncState.IN_SYNC, " ".join(rendering.warnings), None
    is_found = row.desired_digest == digest
    if steps:
        rewritten = row.desired_digest not in ("", digest) and _says_the_same(row, desired)
        drifted = row.managed_since is not None and (rewritten or row.desired_digest in ("", digest))
        sync = SyncState.DRIFT if drifted else SyncState.PENDING
        drifted_at = (row.drifted_at or now) if drifted else None
        detail = f"{_REWRITTEN} {_sentence(steps)}" if rewritten else _sentence(steps)
    elif unaccepted(rendering.deviations, row.accepted_deviations) and not adapter.capabilities.stores_policy:
        sync, detail = SyncState.PENDING, _NOT_GRANTED
    else:
        is_found = True
    if row.managed_since is None:
        sync = SyncState.UNKNOWN
    records.note_contact(
        broker=BrokerId(row.id),
        now=now,
        version=applied.version,
        sync=sync,
        detail=detail,
        drifted_at=drifted_at,
        **(records.verified(row, desired, digest) if is_found else {}),
    )
    shown = tuple(step.summary for step in steps[:_SHOWN])
    return Comparison(sync=sync, differences=shown, count=len(steps), detail=detail)


def _sentence(steps: tuple[Step, ...]) -> str:
    counted = "1 difference" if len(steps) == 1 else f"{len(steps)} differences; the first"
    return f"{counted}: {steps[0].summary}"
