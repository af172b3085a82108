"""Shutting a device out of a broker, ahead of all other work there."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.outcomes import Eviction
from brokers.core.ports import BrokerAdapter, BrokerUnreachable, DesiredState, SessionNotClosed, Standing
from brokers.core.taken_names import due, refusal
from brokers.core.values import AccessKind, BrokerId, SyncState
from brokers.services import records
from brokers.services.converging import UNMANAGED, BrokerDidNotObey
from brokers.services.desired import desired_state, desired_state_of
from brokers.services.disconnecting import STAYS, beside_own, end_again
from brokers.services.held_back import without_unaccepted
from brokers.services.lease import lease_on
from brokers.services.shut_out import those_shut_out
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.core.errors import DomainError
from kernel.core.ids import DomainId

_COMES_BACK = (
    "Who shows the revoked or held certificate comes in again until this broker refuses it by itself, and stays: "
    "disconnect the device once more then."
)
_ENDS_AGAIN = "Its sessions end once more when this broker knows of the revocation."
_MOMENT_LATER = "Somebody may have come in while what it may do was taken away."


class _Thrown(NamedTuple):
    """The broker's version, whether it had to be changed, and how many sessions ended, as `disconnect` tells it."""

    version: str
    changed: bool
    closed: int | None


def evict(
    *, broker: BrokerId, device: DeviceId, now: datetime, by_certificate: bool = False, bulk: bool = False
) -> Eviction:
    """What was closed: the device's permissions become what its state allows, then its sessions there end.

    Where the broker may just be letting it in by what was before, they end once more, by an operation of its own.
    `by_certificate`: a certificate of it was revoked or held, and `detail` tells who may come in with that.
    `bulk`: it is one of many, which keep no revocation waiting.
    Waits for nobody but a batch that is under way; one of many for 8 s for whatever is.
    Raises BrokerUnreachable, BrokerBusy, BrokerDidNotObey, AccountTaken, SessionNotClosed.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None or row.managed_since is None:
        return Eviction(closed=None, detail=UNMANAGED)
    with lease_on(broker=broker, now=now, urgent=True, others_first=bulk) as lease:
        adapter = adapter_for(queries.link_to(broker=broker))
        try:
            desired = desired_state_of(device=device, broker=broker, now=lease.now())
            if adapter.capabilities.restarts:
                desired = _with_all_who_go(row, adapter, desired, now=lease.now())
            # What is heard of the broker ends these rows too, perhaps before it is our turn.
            before = models.Session.objects.filter(broker=row, device_id=device).count()
            done = _throw_out(adapter, desired, accepted=row.accepted_deviations)
        except BrokerUnreachable as error:
            records.note_unreachable(broker=broker, now=lease.now(), detail=error.detail)
            raise
        # After an outage the rest is still to be compared: the next push or check does that.
        missed = {"sync": SyncState.PENDING} if row.sync == SyncState.UNREACHABLE else {}
        records.note_contact(broker=broker, now=lease.now(), version=done.version, desired_digest="", **missed)
        count = done.closed
        if count is not None:
            known = max(before, _forget_sessions(row, device, now=lease.now()))
            count = known if count < 0 else count
        ended = lease.now()
    if lag := adapter.capabilities.policy_lag:
        here, concerned = adapter.capabilities_here(), [devices.get_principal(id=device)]
        end_again(row, here, concerned=concerned, at=[ended + lag], note=_MOMENT_LATER, now=ended, bulk=bulk)
    is_in = desired.subjects[0].state is Standing.ADMITTED
    restarted = adapter.capabilities.restarts and (done.changed or not is_in)  # an eviction before this one may have
    detail = _on_sessions(adapter, count, is_in=is_in, restarted=restarted)
    if by_certificate and is_in:
        detail += _on_certificate(adapter.capabilities_here().certificate_lag)
    return Eviction(closed=count, detail=detail)


def _with_all_who_go(
    row: models.Broker, adapter: BrokerAdapter, desired: DesiredState, *, now: datetime
) -> DesiredState:
    """The same and, unless there is nothing to change, all others who are shut out or in quarantine: by one restart."""
    if not adapter.plan(desired, adapter.read(only=desired.only)):
        return desired
    domain, [one] = DomainId(row.domain_id), desired.subjects
    everybody = desired_state(domain=domain, broker=BrokerId(row.id), now=now).subjects
    subjects = (one, *(each for each in those_shut_out(domain, everybody) if each.principal.id != one.principal.id))
    return DesiredState(subjects=subjects, only=frozenset(each.principal.auth_id for each in subjects))


def _throw_out(adapter: BrokerAdapter, desired: DesiredState, *, accepted: Collection[str]) -> _Thrown:
    """Its sessions end too if the rest is refused, which is raised then."""
    principal = desired.subjects[0].principal
    try:
        deviations = adapter.render(desired).deviations
        version, changed = _take_away(adapter, without_unaccepted(adapter, desired, deviations, accepted))
    except (BrokerUnreachable, SessionNotClosed):  # it would be waited for once more
        raise
    except DomainError:
        with suppress(DomainError):
            adapter.disconnect(principal)
        raise
    return _Thrown(version, changed, adapter.disconnect(principal))


def _take_away(adapter: BrokerAdapter, desired: DesiredState) -> tuple[str, bool]:
    """The broker's version and whether it was changed, once it was read back that it holds the desired state."""
    applied = adapter.read(only=desired.only)
    planned = adapter.plan(desired, applied)
    if steps := due(planned):
        adapter.apply(steps, between=lambda: None)
        if due(adapter.plan(desired, adapter.read(only=desired.only))):
            raise BrokerDidNotObey("The broker took the changes, and the device still has what was taken away.")
    if (taken := refusal(planned)) is not None:
        raise taken
    return applied.version, bool(steps)


def _forget_sessions(row: models.Broker, device: DeviceId, *, now: datetime) -> int:
    sessions = list(models.Session.objects.filter(broker=row, device_id=device))
    models.Session.objects.filter(pk__in=[session.pk for session in sessions]).delete()
    models.AccessEvent.objects.bulk_create(
        models.AccessEvent(
            at=now,
            broker=row,
            broker_name=row.name,
            domain_id=row.domain_id,
            device_id=device,
            auth_id=session.auth_id,
            client_id=session.client_id,
            kind=AccessKind.DISCONNECTED,
            address=session.address,
            detail="Gatehouse ended the session.",
        )
        for session in sessions
    )
    return len(sessions)


def _on_sessions(adapter: BrokerAdapter, count: int | None, *, is_in: bool, restarted: bool) -> str:
    said = "Its permissions are gone"
    if is_in:
        said = "It may do what the policy says of it now, and come back with what is still good"
    if restarted:
        return f"{said}; the restart by which the broker reads that ends every session."
    if count is None:
        return f"{said}. {STAYS}" if is_in else f"{said} for whoever connects from now on. {STAYS}"
    closed = f"{count} session{'s' if count > 1 else ''} closed."
    if not count:
        closed = "no session of it was known, and any there was is closed."
    return f"{said}; {closed}{beside_own(adapter.capabilities)}"


def _on_certificate(lag: timedelta | None) -> str:
    """What is to be said of the certificate that was taken away, with a blank before it; empty if nothing is."""
    if lag is None:
        return f" {_COMES_BACK}"
    return f" {_ENDS_AGAIN}" if lag else ""
