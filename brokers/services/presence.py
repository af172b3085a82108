"""Who is connected, and the access log: what brokers tell us, as `listen` hears it.

Names come from the broker and may be chosen by whoever knocks: they are cut to size and never trusted further.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from brokers import models
from brokers.core.values import AccessKind, BrokerEvent, BrokerId
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.core.ids import DomainId


def note_event(*, broker: BrokerId, event: BrokerEvent) -> None:
    """Writes the event down, and opens or closes the session that it is about. A broker that is gone is ignored."""
    note_events(broker=broker, events=[event])


def note_events(*, broker: BrokerId, events: Iterable[BrokerEvent]) -> None:
    """The same for several events, in their order and in one transaction."""
    row = models.Broker.objects.filter(id=broker).first()
    if row is None:
        return
    known: dict[str, DeviceId | None] = {}
    with transaction.atomic():
        for event in events:
            if event.auth_id not in known:
                known[event.auth_id] = _device_called(event.auth_id, domain=DomainId(row.domain_id))
            _note(row, event, device=known[event.auth_id])


def note_connected(
    *,
    broker: BrokerId,
    auth_id: str,
    client_id: str,
    address: str,
    at: datetime,
    connection_id: str = "",
    grant_digest: str = "",
    expires_at: datetime | None = None,
    detail: str = "",
) -> None:
    """Opens a session, in place of one with the same client id."""
    event = BrokerEvent(
        at=at,
        kind=AccessKind.CONNECTED,
        auth_id=auth_id,
        client_id=client_id,
        address=address,
        detail=detail,
        connection_id=connection_id,
        grant_digest=grant_digest,
        expires_at=expires_at,
    )
    note_event(broker=broker, event=event)


def note_disconnected(
    *, broker: BrokerId, client_id: str, at: datetime, auth_id: str = "", connection_id: str = "", detail: str = ""
) -> None:
    """Closes the session of that client id; with a connection id only if the session is that connection."""
    event = BrokerEvent(
        at=at,
        kind=AccessKind.DISCONNECTED,
        auth_id=auth_id,
        client_id=client_id,
        connection_id=connection_id,
        detail=detail,
    )
    note_event(broker=broker, event=event)


def note_refused(
    *, broker: BrokerId, at: datetime, auth_id: str = "", client_id: str = "", address: str = "", detail: str = ""
) -> None:
    """Writes down that somebody was refused at the door."""
    event = BrokerEvent(
        at=at, kind=AccessKind.REFUSED, auth_id=auth_id, client_id=client_id, address=address, detail=detail
    )
    note_event(broker=broker, event=event)


def replace_sessions(*, broker: BrokerId, present: Iterable[BrokerEvent], now: datetime) -> int:
    """How many sessions were forgotten: those that are not among `present`, the connections that the broker lists.

    Connections that were not known are written down as any other. What is known already costs no write.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None:
        return 0
    events = {_cut(event.client_id, 255): event for event in present}
    known = {session.client_id: session for session in models.Session.objects.filter(broker=row)}
    forgotten = [session for client_id, session in known.items() if client_id not in events]
    with transaction.atomic():
        for session in forgotten:
            ended = BrokerEvent(
                at=now, kind=AccessKind.DISCONNECTED, auth_id=session.auth_id, client_id=session.client_id
            )
            _note(row, ended, device=_device_of(session))
        for client_id, event in events.items():
            if not _is_of(known.get(client_id), event):
                _note(row, event, device=_device_called(event.auth_id, domain=DomainId(row.domain_id)))
    return len(forgotten)


def _note(row: models.Broker, event: BrokerEvent, *, device: DeviceId | None) -> None:
    auth_id = event.auth_id
    present = models.Session.objects.filter(broker=row, client_id=_cut(event.client_id, 255)).first()
    if event.kind is AccessKind.CONNECTED:
        if _is_of(present, event):
            return
        _open(row, event, device=device)
    elif event.kind is AccessKind.STARTED:
        models.Session.objects.filter(broker=row, connected_at__lt=event.at).delete()
        return
    elif event.kind is AccessKind.DISCONNECTED:
        if event.connection_id and present is None:
            return  # its end was written down when it was closed from here
        closed = _close(present, event)
        if closed is not None:
            device, auth_id = device or _device_of(closed), auth_id or closed.auth_id
    models.AccessEvent.objects.create(
        at=event.at,
        broker=row,
        broker_name=row.name,
        domain_id=row.domain_id,
        device_id=device,
        auth_id=_cut(auth_id, 255),
        client_id=_cut(event.client_id, 255),
        kind=event.kind,
        address=_cut(event.address, 64),
        detail=_cut(event.detail, 500),
    )


def _open(row: models.Broker, event: BrokerEvent, *, device: DeviceId | None) -> None:
    models.Session.objects.update_or_create(
        broker=row,
        client_id=_cut(event.client_id, 255),
        defaults={
            "device_id": device,
            "auth_id": _cut(event.auth_id, 255),
            "address": _cut(event.address, 64),
            "connected_at": event.at,
            "connection_id": event.connection_id[:64],
            "grant_digest": event.grant_digest[:64],
            "expires_at": event.expires_at,
        },
    )


def _is_of(session: models.Session | None, event: BrokerEvent) -> bool:
    """Whether the session is the very connection that the event began."""
    if session is None or not event.connection_id:
        return False
    return (session.connection_id, session.connected_at) == (event.connection_id[:64], event.at)


def _close(session: models.Session | None, event: BrokerEvent) -> models.Session | None:
    if session is None or (event.connection_id and session.connection_id not in ("", event.connection_id)):
        return None
    models.Session.objects.filter(pk=session.pk).delete()
    return session


def _cut(text: str, length: int) -> str:
    """At most so many characters, without NUL, which PostgreSQL can not store."""
    return text[:length].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _device_of(session: models.Session) -> DeviceId | None:
    return DeviceId(session.device_id) if session.device_id else None


def _device_called(auth_id: str, *, domain: DomainId) -> DeviceId | None:
    if not auth_id or "\0" in auth_id:
        return None
    found = devices.find_principal_by_auth_id(domain=domain, auth_id=auth_id)
    return found.id if found else None
