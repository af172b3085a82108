"""Bringing a broker to the desired state: read, compare, write in small batches, read back.

Everything that was missed while a broker was away is made good by one comparison of the whole, not by replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.outcomes import Convergence
from brokers.core.plans import rendering_digest, require_acceptance
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, DesiredState, Step
from brokers.core.taken_names import AccountTaken, due, refusal
from brokers.core.values import BrokerId, SyncState
from brokers.services import records
from brokers.services.desired import desired_state, desired_state_of
from brokers.services.held_back import without_unaccepted
from brokers.services.lease import BrokerBusy, Lease, lease_on
from devices import queries as devices
from devices.core.values import DeviceId
from kernel import queries as journal
from kernel.core.errors import Conflict, DomainError
from kernel.core.ids import DomainId

UNMANAGED = "Nothing is written to this broker before a plan was applied to it."


class BrokerDidNotObey(Conflict):
    """The broker took the changes without an error, and what it holds is still something else."""

    code = "broker-did-not-obey"


def converge(*, broker: BrokerId, device: DeviceId | None = None, now: datetime, seq: int = 0) -> Convergence:
    """Where the broker stands after it was brought to what the device, or everything, should be.

    `seq` is the journal entry that asks for it: if that was already done with the whole, nothing is.
    Raises BrokerUnreachable, BrokerBusy, DeviationNotAccepted, BrokerDidNotObey, AccountTaken.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None or row.managed_since is None:
        return Convergence(sync=SyncState.UNKNOWN, steps=0, detail=UNMANAGED)
    with lease_on(broker=broker, now=now) as lease:
        row.refresh_from_db()
        if seq and row.sync == SyncState.IN_SYNC and row.converged_seq >= seq:
            return Convergence(sync=SyncState.IN_SYNC, steps=0, detail="It was already done with the whole.")
        if device is not None and row.sync in (SyncState.IN_SYNC, SyncState.DRIFT):
            return converge_device(row, device, lease)
        return converge_whole(row, lease)


def converge_whole(row: models.Broker, lease: Lease) -> Convergence:
    """The same for everything, under a lease that is held. An eviction waits for no more than a batch of it."""
    broker = BrokerId(row.id)
    seq = journal.journal_end()
    adapter = adapter_for(queries.link_to(broker=broker))
    try:
        applied = adapter.read()  # first: whoever gets in meanwhile is nobody that is not known yet
        lease.keep()
        desired = desired_state(domain=DomainId(row.domain_id), broker=broker, now=lease.now(), pause=lease.keep)
        steps, version, taken = bring_to(adapter, desired, row, lease, applied=applied)
    except DomainError as error:
        _note_failure(broker, error, lease)
        raise
    rendering = adapter.render(desired)
    found = records.verified(row, desired, rendering_digest(rendering))
    with transaction.atomic():
        lease.keep()
        if taken is not None:
            _note_taken(row, taken, lease, version=version, **found)
        else:
            detail = " ".join(rendering.warnings)
            records.note_in_sync(broker=broker, now=lease.now(), version=version, seq=seq, found=found, detail=detail)
    if taken is not None:
        raise taken
    return Convergence(sync=SyncState.IN_SYNC, steps=steps, detail=f"The whole was compared: {_counted(steps)}.")


def converge_device(row: models.Broker, device: DeviceId, lease: Lease) -> Convergence:
    """The same for one device, under a lease that is held. The broker's state as a whole stays what it was."""
    broker = BrokerId(row.id)
    adapter = adapter_for(queries.link_to(broker=broker))
    try:
        applied = adapter.read(only=frozenset({devices.get_principal(id=device).auth_id}))  # first, as above
        desired = desired_state_of(device=device, broker=broker, now=lease.now())
        steps, version, taken = bring_to(adapter, desired, row, lease, applied=applied)
    except BrokerBusy:  # it is done anew, and says nothing about everybody else
        raise
    except DomainError as error:
        _note_failure(broker, error, lease)
        raise
    # The digest of the whole is no longer known; a check that finds a difference then brings it in order.
    unknown = {"desired_digest": ""} if steps else {}
    if taken is not None:
        _note_taken(row, taken, lease, version=version, **unknown)
        raise taken
    records.note_contact(broker=broker, now=lease.now(), version=version, **unknown)
    return Convergence(sync=SyncState(row.sync), steps=steps, detail=f"{_counted(steps).capitalize()}.")


def bring_to(
    adapter: BrokerAdapter,
    desired: DesiredState,
    row: models.Broker,
    lease: Lease,
    *,
    applied: AppliedState | None = None,
) -> tuple[int, str, AccountTaken | None]:
    """How many steps it took, the broker's version, and what to raise if a name there is somebody else's.

    `applied` is what it holds, if that was read already. All is done then but what is due to such names.
    Raises DeviationNotAccepted when all is done but what nobody has accepted, and BrokerDidNotObey.
    """
    deviations = adapter.render(desired).deviations
    lease.keep()
    wanted = without_unaccepted(adapter, desired, deviations, row.accepted_deviations)
    applied = applied or adapter.read(only=desired.only)
    planned = adapter.plan(wanted, applied)
    if steps := due(planned):
        with lease.writing():
            adapter.apply(steps, between=lease.keep)
        _check_obeyed(adapter, wanted, steps, lease)
    require_acceptance(deviations, row.accepted_deviations)
    return len(steps), applied.version, refusal(planned)


def _check_obeyed(adapter: BrokerAdapter, desired: DesiredState, steps: Sequence[Step], lease: Lease) -> None:
    applied = adapter.read(only=desired.only)
    lease.keep()
    left = due(adapter.plan(desired, applied))
    lease.keep()  # what an eviction has taken meanwhile is no disobedience
    if not adapter.capabilities.stores_policy:  # who has come since was let in by what holds now
        left = tuple(step for step in left if step in steps)
    if left:
        raise BrokerDidNotObey(
            f"The broker took {len(steps)} changes, and {len(left)} are still to be made; the first: {left[0].summary}"
        )


def _note_taken(row: models.Broker, taken: AccountTaken, lease: Lease, *, version: str, **changes: str) -> None:
    """What is left to do is a difference that somebody made by hand."""
    now = lease.now()
    records.note_contact(
        broker=BrokerId(row.id),
        now=now,
        version=version,
        sync=SyncState.DRIFT,
        detail=taken.detail,
        drifted_at=row.drifted_at or now,
        **changes,
    )


def _note_failure(broker: BrokerId, error: DomainError, lease: Lease) -> None:
    if isinstance(error, BrokerUnreachable):
        records.note_unreachable(broker=broker, now=lease.now(), detail=error.detail)
    else:
        records.note_refused(broker=broker, now=lease.now(), detail=error.detail)


def _counted(steps: int) -> str:
    return {0: "nothing to change", 1: "1 change made"}.get(steps, f"{steps} changes made")
