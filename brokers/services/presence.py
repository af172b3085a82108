"""Who is connected, and the access log: what brokers tell us, as `listen` hears it.

Names come from the broker and may be chosen by whoever knocks: they are cut to size and never trusted further.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db import connection, transaction

from brokers import models
from brokers.core.access.kept_events import batches, fitting, kept_at
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, AdapterKind, BrokerEvent, BrokerId
from brokers.services.policy_use import note_lost
from brokers.services.session_room import SessionRoom
from brokers.services.told_use import note_told
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.core.ids import DomainId

_OF_A_CONNECTION = (
    "device_id",
    "auth_id",
    "address",
    "connected_at",
    "connection_id",
    "grant_digest",
    "expires_at",
    "takes_over",
)
_TOLD_LATE = timedelta(seconds=5)


def note_events(*, broker: BrokerId, events: Sequence[BrokerEvent], now: datetime | None = None) -> None:
    """Writes the events down in their order, and opens or closes the sessions that they are about.

    A broker that is gone is ignored. What begins a session more than a broker may claim is counted as lost. Lines that
    the broker puts more than a day off from `now` are those of now. It takes eight statements for each 500 events; what
    `batches` gives at a time is written as a whole or not at all, and what was read from a file once.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None:
        return
    for batch in batches(events):
        with transaction.atomic():
            _hold(broker)
            some = _not_read_before(row, batch)
            lines = _write(row, _with_clients(row, some), now) if some else []
            if row.kind != AdapterKind.HTTP_DECISIONS:  # what it asked us was noted when it asked
                note_told(broker=broker, lines=lines)


def replace_sessions(*, broker: BrokerId, present: Iterable[BrokerEvent], now: datetime) -> int:
    """How many sessions were forgotten: those that are not among `present`, the connections that the broker lists.

    Connections that were not known are written down as any other. What is known already costs no write.
    """
    events = {fitting(event).client_id: event for event in present}
    known = {session.client_id: session for session in models.Session.objects.filter(broker_id=broker)}
    forgotten = [session for client_id, session in known.items() if client_id not in events]
    ended = [
        BrokerEvent(
            at=now,
            kind=AccessKind.DISCONNECTED,
            action=AccessAction.CONNECT,
            auth_id=session.auth_id,
            client_id=session.client_id,
            connection_id=session.connection_id,  # so that it is not taken for the end of the one before
        )
        for session in forgotten
    ]
    come = [event for client_id, event in events.items() if not _is_of(known.get(client_id), event)]
    note_events(broker=broker, events=[*ended, *come], now=now)
    return len(forgotten)


@dataclass(slots=True)
class _Door:
    """The sessions of the client ids in a batch, as they are after each event of it."""

    row: models.Broker
    devices: dict[str, DeviceId]
    sessions: dict[str, models.Session]
    room: SessionRoom
    now: datetime | None
    lost: int = 0
    opened: dict[str, models.Session] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)

    def take(self, event: BrokerEvent) -> models.AccessEvent | None:
        """The line that the event is in the log; None if it says nothing new."""
        present = self.sessions.get(event.client_id)
        device = self.devices.get(event.auth_id)
        if event.kind is AccessKind.CONNECTED:
            if _is_of(present, event):
                return None
            if not self._has_room(device, present):
                self.lost += 1
                return None
            self._open(event, device, takes_over=present is not None)
        elif event.kind is AccessKind.DISCONNECTED:
            if event.connection_id and present is None:
                return None  # its end was written down when it was closed from here
            if present is not None and _is_of_the_one_before(event, present):
                device, event = _named(event, device, present)
                return self._line(replace(event, reason=AccessReason.TAKEN_OVER), device)
            if present is not None and event.connection_id in ("", present.connection_id or event.connection_id):
                self._close(present)
                device, event = _named(event, device, present)
        elif present is not None and event.kind in {AccessKind.ALLOWED, AccessKind.DENIED}:
            device, event = _named(event, device, present)  # who is refused may have named itself like another
        return self._line(event, device)

    def _has_room(self, device: DeviceId | None, present: models.Session | None) -> bool:
        if present is None:
            return self.room.take(device)
        self.room.leave(_device_of(present))
        found = self.room.take(device)
        if not found:
            self.room.take(_device_of(present))  # which stays
        return found

    def _open(self, event: BrokerEvent, device: DeviceId | None, *, takes_over: bool) -> None:
        session = models.Session(
            broker=self.row,
            client_id=event.client_id,
            device_id=device,
            auth_id=event.auth_id,
            address=event.address,
            connected_at=event.at,
            connection_id=event.connection_id,
            grant_digest=event.grant_digest,
            expires_at=event.expires_at,
            takes_over=takes_over,
        )
        self.sessions[event.client_id] = self.opened[event.client_id] = session

    def _close(self, session: models.Session) -> None:
        self.room.leave(_device_of(session))
        del self.sessions[session.client_id]
        self.opened.pop(session.client_id, None)
        if session.pk is not None:
            self.closed.add(session.pk)

    def _line(self, event: BrokerEvent, device: DeviceId | None) -> models.AccessEvent:
        return models.AccessEvent(
            at=kept_at(event, now=self.now),
            broker=self.row,
            broker_name=self.row.name,
            domain_id=self.row.domain_id,
            device_id=device,
            auth_id=event.auth_id,
            client_id=event.client_id,
            kind=event.kind,
            action=event.action or "",
            topic=event.topic,
            qos=event.qos,
            reason=event.reason or "",
            address=event.address,
            detail=event.detail,
        )


def _hold(broker: BrokerId) -> None:
    """Nothing; until the transaction ends no other process writes about the broker. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(b"brokers.presence" + broker.bytes).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(digest[:8], signed=True)])


def _write(row: models.Broker, events: Sequence[BrokerEvent], now: datetime | None) -> list[models.AccessEvent]:
    """The lines of the log that were written."""
    if events[0].kind is AccessKind.STARTED:
        models.Session.objects.filter(broker=row, connected_at__lt=events[0].at).delete()
        return []
    named = {event.auth_id for event in events} - {""}
    known = devices.principal_ids(domain=DomainId(row.domain_id), auth_ids=named)
    sessions = models.Session.objects.filter(broker=row, client_id__in={event.client_id for event in events})
    come = {known.get(event.auth_id) for event in events if event.kind is AccessKind.CONNECTED}
    door = _Door(
        row=row,
        devices=known,
        sessions={session.client_id: session for session in sessions},
        room=SessionRoom(BrokerId(row.id), come),
        now=now,
    )
    lines = [line for event in events if (line := door.take(event)) is not None]
    if door.lost:
        note_lost(broker=BrokerId(row.id), count=door.lost, now=kept_at(events[-1], now=now))
    if door.closed:
        models.Session.objects.filter(pk__in=door.closed).delete()
    models.Session.objects.bulk_create(
        door.opened.values(),
        update_conflicts=True,
        unique_fields=["broker", "client_id"],
        update_fields=_OF_A_CONNECTION,
    )
    return models.AccessEvent.objects.bulk_create(lines)


def _not_read_before(row: models.Broker, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
    """Those that stand in no file, or behind the place that it was read to; which is then behind them."""
    last = {event.place.file: (event.place.offset, event.at) for event in events if event.place}
    if not last:
        return events
    places = models.LogPlace.objects.filter(broker=row, file__in=last)
    known = dict(places.values_list("file", "offset"))
    rows = [
        models.LogPlace(broker=row, file=file, offset=offset, at=at)
        for file, (offset, at) in last.items()
        if offset > known.get(file, 0)
    ]
    models.LogPlace.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["broker", "file"], update_fields=["offset", "at"]
    )
    return [event for event in events if event.place is None or event.place.offset > known.get(event.place.file, 0)]


def _with_clients(row: models.Broker, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
    """The events, with the client id of its session in each end that names its connection alone."""
    nameless = {event.connection_id for event in events if _names_connection_alone(event)}
    if not nameless:
        return events
    sessions = models.Session.objects.filter(broker=row, connection_id__in=nameless).order_by("connected_at")
    clients = dict(sessions.values_list("connection_id", "client_id"))
    return [
        replace(event, client_id=clients.get(event.connection_id, "")) if _names_connection_alone(event) else event
        for event in events
    ]


def _names_connection_alone(event: BrokerEvent) -> bool:
    return event.kind is AccessKind.DISCONNECTED and bool(event.connection_id) and not event.client_id


def _is_of(session: models.Session | None, event: BrokerEvent) -> bool:
    """Whether the session is the very connection that the event began."""
    if session is None or not event.connection_id:
        return False
    return (session.connection_id, session.connected_at) == (event.connection_id, event.at)


def _is_of_the_one_before(event: BrokerEvent, session: models.Session) -> bool:
    """Whether an end that says neither whose nor why is that of the connection which the session took over from."""
    says = bool(event.connection_id) or event.reason is not None
    return session.takes_over and not says and event.at - session.connected_at < _TOLD_LATE


def _named(event: BrokerEvent, device: DeviceId | None, session: models.Session) -> tuple[DeviceId | None, BrokerEvent]:
    """Whose event it is, where only the session tells."""
    known = _device_of(session)
    return device or known, event if event.auth_id else replace(event, auth_id=session.auth_id)


def _device_of(session: models.Session) -> DeviceId | None:
    return DeviceId(session.device_id) if session.device_id else None
