"""Changing how a registered broker is spoken to, and where devices reach it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from brokers import models, queries
from brokers.conf import adapter_class
from brokers.core.ports import PasswordRoom
from brokers.core.registration import refuse
from brokers.core.values import AdapterKind, BrokerId, Listener
from brokers.services.connections import check_connection, control_name_of
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


class NoRoomForPasswords(Conflict):
    """Brokers of this kind are told no passwords of devices."""

    code = "broker-without-passwords"


def change_connection(*, broker: BrokerId, connection: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    """The broker is spoken to like this from now on. Raises InvalidBroker, FolderShared, AccountShared."""
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().get(id=broker)
        refuse(adapter_class(AdapterKind(row.kind)).connection_errors(connection))
        check_connection(connection, domain=DomainId(row.domain_id), broker=broker)
        row.control_name = control_name_of(connection)
        row.connection = master_key().wrap(
            json.dumps(dict(connection)).encode(), purpose=queries.CONNECTION_PURPOSE, context=str(broker)
        )
        row.save(update_fields=["connection", "control_name"])
        _record(row, "connection", actor=actor, now=now)


def change_listeners(*, broker: BrokerId, listeners: Sequence[Listener], actor: Actor, now: datetime) -> None:
    """Devices reach the broker there from now on."""
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().get(id=broker)
        row.listeners = [asdict(listener) for listener in listeners]
        row.save(update_fields=["listeners"])
        _record(row, "listeners", actor=actor, now=now)


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
        _record(row, "passwords", actor=actor, now=now)


def _record(row: models.Broker, changed: str, *, actor: Actor, now: datetime) -> None:
    record(
        action="brokers.broker.changed",
        subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after={"changed": changed},
    )
