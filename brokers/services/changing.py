"""Changing what a broker is registered with: its name, how it is spoken to, and where devices reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from brokers import models, queries
from brokers.conf import adapter_class, broker_networks
from brokers.core.connection_changes import change_errors, changed_members, merged_connection, shown_connection
from brokers.core.peers import peer_errors
from brokers.core.ports import PasswordRoom
from brokers.core.registration import EMBEDDED, listener_errors, name_errors, refuse
from brokers.core.values import AdapterKind, Broker, BrokerId, Listener, SyncState
from brokers.services.connections import check_connection, control_name_of
from brokers.services.registering import name_taken
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError, Superseded
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


class BrokerChanged(Superseded):
    """Somebody changed the broker since it was read."""

    code = "broker-changed"


class NoRoomForPasswords(Conflict):
    """Brokers of this kind are told no passwords of devices."""

    code = "broker-without-passwords"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChange:
    """What is to be otherwise; None stays. Members of `connection` that are left out stay, and None takes one out."""

    name: str | None = None
    listeners: Sequence[Listener] | None = None
    connection: Mapping[str, Any] | None = field(default=None, repr=False)


def change_broker(
    *, broker: BrokerId, change: BrokerChange, expected: str | None = None, actor: Actor, now: datetime
) -> Broker:
    """The broker as it is now registered; with `expected` only if that is still its tag. It is not contacted.

    Spoken to otherwise, it counts as not compared: the whole of it is, and what differs is brought to it, by itself.
    Raises BrokerNotFound, BrokerChanged, InvalidBroker, BrokerNameTaken, FolderShared, AccountShared.
    """
    try:
        with transaction.atomic():
            row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
            if expected not in {None, row.tag}:
                raise BrokerChanged(f"{row.name} was changed meanwhile: read it again, then change it.")
            present = dict(queries.opened_connection(row))
            refuse([*_errors(row, change, present)])
            changes = [*_rename(row, change), *_move(row, change), *_connect(row, change, present)]
            if changes:
                row.save(update_fields=_COLUMNS)
                told = {"changed": ", ".join(name for name, _, _ in changes)}
                before = {name: was for name, was, _ in changes if was is not None}
                after = told | {name: now_is for name, _, now_is in changes}
                _record(row, before, after, actor=actor, now=now)
    except IntegrityError as error:
        if change.name is None or not models.Broker.objects.filter(name=change.name).exclude(id=broker).exists():
            raise
        raise name_taken(change.name) from error
    return queries.get_broker(id=broker)


_COLUMNS = [
    "name", "listeners", "connection", "control_name", "sync", "detail", "version", "drifted_at", "desired_digest",
    "crl_revisions",
]  # fmt: skip
_Change = tuple[str, Any, Any]
"""What is changed, what it was (None: not to be told), and what it is."""


def _errors(row: models.Broker, change: BrokerChange, present: Mapping[str, Any]) -> Iterator[FieldError]:
    if change.name not in {None, row.name}:
        yield from name_errors(str(change.name))
        if EMBEDDED in {change.name, row.name}:
            detail = f"{EMBEDDED} is the broker that Gatehouse brings along: it keeps its name, and no other takes it."
            yield FieldError(pointer="/name", code="reserved-name", detail=detail)
    merged = merged_connection(present, change.connection or {})
    if change.connection is not None:
        yield from change_errors(present, change.connection)
        yield from adapter_class(AdapterKind(row.kind)).connection_errors(merged)
    yield from listener_errors(change.listeners or (), plain_port=_plain_port(row))
    hosts = shown_connection(merged if change.connection else {}).members
    yield from peer_errors(hosts, change.listeners or (), allowed=broker_networks())


def _plain_port(row: models.Broker) -> int | None:
    """The port without TLS that the broker's listener profile asks for."""
    found = models.Listening.objects.filter(broker=row).values_list("profile", flat=True).first()
    port: int | None = (found or {}).get("plain_port")
    return port


def _rename(row: models.Broker, change: BrokerChange) -> Iterator[_Change]:
    if change.name not in {None, row.name}:
        before, row.name = row.name, str(change.name)
        yield "name", before, row.name


def _move(row: models.Broker, change: BrokerChange) -> Iterator[_Change]:
    wanted = [asdict(listener) for listener in change.listeners or ()]
    if change.listeners is not None and wanted != row.listeners:
        before, row.listeners = row.listeners, wanted
        yield "listeners", _places(before), _places(wanted)


def _places(listeners: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{listener['transport']}://{listener['host']}:{listener['port']}" for listener in listeners]


def _connect(row: models.Broker, change: BrokerChange, present: Mapping[str, Any]) -> Iterator[_Change]:
    """Keeps the connection, and forgets what was found by the one before; of its members only the names are told."""
    merged = merged_connection(present, change.connection or {})
    members = changed_members(present, merged)
    if not members:
        return
    broker = BrokerId(row.id)
    check_connection(merged, domain=DomainId(row.domain_id), broker=broker)
    row.control_name = control_name_of(merged)
    row.connection = queries.sealed_connection(merged, broker=broker)
    row.sync = SyncState.UNKNOWN if row.managed_since is None else SyncState.PENDING
    row.detail, row.version, row.desired_digest, row.drifted_at = "", "", "", None
    row.crl_revisions = {}
    yield "connection", None, members


def take_passwords(*, broker: BrokerId, taken: bool, actor: Actor, now: datetime) -> None:
    """Devices may log in at the broker with their passwords from now on, or no more; then those it holds go.

    Raises BrokerNotFound, and NoRoomForPasswords if Gatehouse has no way to tell such a broker of them.
    """
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        kind = AdapterKind(row.kind)
        if taken and adapter_class(kind).capabilities.passwords is PasswordRoom.NONE:
            raise NoRoomForPasswords(f"A broker of the kind {kind} gets no passwords from Gatehouse.")
        if bool(row.takes_passwords) == taken:
            return
        row.takes_passwords = taken
        row.save(update_fields=["takes_passwords"])
        _record(row, {}, {"changed": "passwords"}, actor=actor, now=now)


def _record(
    row: models.Broker, before: Mapping[str, Any], after: Mapping[str, Any], *, actor: Actor, now: datetime
) -> None:
    record(
        action="brokers.broker.changed",
        subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        before=before,
        after=after,
    )
