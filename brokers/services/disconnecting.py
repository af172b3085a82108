"""Ending the sessions of one device at one broker, while what it may do stays as it is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.outcomes import Eviction
from brokers.core.ports import Capabilities
from brokers.core.values import BrokerId
from brokers.services.converging import UNMANAGED
from brokers.services.lease import lease_on
from devices import queries as devices
from devices.core.values import Device, DeviceId
from kernel.core.actor import SYSTEM, Actor
from kernel.core.clock import to_rfc3339
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Change, Subject
from kernel.queries import open_operation
from kernel.services import record_many

STAYS = "Gatehouse can not end a session at this broker: one that is open goes on until it ends by itself."

_ITS_OWN = "That is by its own client id alone: a session that it opened with another goes on."


class SessionsStay(Conflict):
    """Nobody can end a session there."""

    code = "sessions-stay"


def order_disconnect(*, broker: BrokerId, device: DeviceId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation that ends every session of the device or application at the broker; it may come back at once.

    The one that is under way, if there is one. Raises BrokerNotFound, UnknownDevice, SessionsStay.
    """
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        domain = DomainId(row.domain_id)
        found = devices.get_principal(id=device, domains=[domain])
        if row.managed_since is None:
            raise SessionsStay(f"{UNMANAGED} So no session is ended there either.")
        if not queries.capabilities_of(broker=broker).closes_sessions:
            raise SessionsStay(f"{STAYS} To keep the device from coming back, suspend it.")
        under_way = open_operation(order_key=f"disconnect:{device}:{broker}")
        if under_way is not None:
            return under_way
        [entry] = record_many(changes=[_ending(row, found, note=note)], actor=actor, now=now)
    return entry.id


def end_again(
    row: models.Broker,
    here: Capabilities,
    *,
    concerned: Collection[Device],
    at: Collection[datetime],
    note: str,
    now: datetime,
    bulk: bool = False,
) -> None:
    """Orders that every session of theirs at the broker ends, at each of these times, by operations.

    For who may have come in by what was taken away; no revocation waits for them if they are `bulk`. A broker that,
    by what it can do `here`, can close no session is left alone.
    """
    if not here.closes_sessions:
        return
    with transaction.atomic():
        changes = [
            _ending(row, device, note=note, later=time if time > now else None, bulk=bulk)
            for device in concerned
            for time in at
        ]
        record_many(changes=changes, actor=SYSTEM, now=now)


def _ending(
    row: models.Broker, device: Device, *, note: str, later: datetime | None = None, bulk: bool = False
) -> Change:
    when = {"not_before": to_rfc3339(later)} if later else {}
    how = {"bulk": True} if bulk else {}
    return Change(
        action="brokers.session.end_ordered",
        subject=Subject(kind=f"devices.{device.kind}", id=str(device.id), label=device.name),
        domain=DomainId(row.domain_id),
        after={"broker": row.name, "broker_id": str(row.id), **when, **how},
        note=note,
    )


def beside_own(capabilities: Capabilities) -> str:
    """What is to be said where sessions are closed by client id alone, with a blank before it; empty elsewhere."""
    return f" {_ITS_OWN}" if capabilities.closes_by_client_id else ""


def disconnect(*, broker: BrokerId, device: DeviceId, now: datetime, bulk: bool = False) -> Eviction:
    """What was closed. What the broker tells of it ends the sessions that are known; nothing else is written there.

    Waits for nobody but a batch that is under way; one of many (`bulk`) for 8 s for whatever is.
    Raises BrokerUnreachable, BrokerBusy, SessionNotClosed, UnknownDevice.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None or row.managed_since is None:
        return Eviction(closed=None, detail=UNMANAGED)
    principal = devices.subject_of(device=device, broker=broker, now=now).principal
    with lease_on(broker=broker, now=now, urgent=True, others_first=bulk):
        adapter = adapter_for(queries.link_to(broker=broker))
        closed = adapter.disconnect(principal)
    if closed is None:
        return Eviction(closed=None, detail=STAYS)
    if closed < 0:
        return Eviction(closed=None, detail="Every session that it had there is closed; it may come back at once.")
    count = f"{closed} session{'' if closed == 1 else 's'}"
    beside = beside_own(adapter.capabilities)
    return Eviction(closed=closed, detail=f"{count} closed; it may come back at once.{beside}")
