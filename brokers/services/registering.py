"""Registering brokers and forgetting them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from brokers import models, queries
from brokers.conf import adapter_class
from brokers.core.mosquitto_connection import folder_of
from brokers.core.registration import listener_errors, name_errors, refuse
from brokers.core.values import AdapterKind, Broker, BrokerId, Listener
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record


class BrokerNameTaken(Conflict):
    """There is a broker of that name, in this domain or another."""

    code = "broker-name-taken"


class FolderShared(Conflict):
    """Another broker, of this domain or another, has that folder."""

    code = "broker-folder-shared"


def register_broker(
    *,
    domain: DomainId,
    name: str,
    kind: AdapterKind,
    connection: Mapping[str, Any],
    listeners: Sequence[Listener] = (),
    actor: Actor,
    now: datetime,
) -> Broker:
    """The broker. It is not contacted; one that stores policy gets none before a plan is applied.

    Raises InvalidBroker, which names each wrong member and quotes none of the connection's, BrokerNameTaken and
    FolderShared.
    """
    adapter = adapter_class(kind)
    refuse([*name_errors(name), *adapter.connection_errors(connection), *listener_errors(listeners)])
    _refuse_folder_of_another(connection)
    broker = BrokerId(new_id())
    envelope = master_key().wrap(
        json.dumps(dict(connection)).encode(), purpose=queries.CONNECTION_PURPOSE, context=str(broker)
    )
    try:
        with transaction.atomic():
            models.Broker.objects.create(
                id=broker,
                domain_id=domain,
                name=name,
                kind=kind,
                connection=envelope,
                listeners=[asdict(listener) for listener in listeners],
                managed_since=None if adapter.capabilities.stores_policy else now,
                created_at=now,
            )
            record(
                action="brokers.broker.registered",
                subject=Subject(kind="brokers.broker", id=str(broker), label=name),
                actor=actor,
                now=now,
                domain=domain,
                after={"name": name, "kind": kind.value, "listeners": [f"{row.host}:{row.port}" for row in listeners]},
            )
    except IntegrityError as error:
        if not models.Broker.objects.filter(name=name).exists():
            raise
        raise _name_taken(name) from error
    return queries.get_broker(id=broker)


def _refuse_folder_of_another(connection: Mapping[str, Any]) -> None:
    """Raises FolderShared: one domain's CRLs in place of another's would shut all of its devices out."""
    folder = folder_of(connection)
    if folder and any(folder == folder_of(queries.link_to(broker=each).connection) for each in queries.all_brokers()):
        detail = "belongs to another broker: give each a folder of its own"
        fault = FieldError(pointer="/connection/files/directory", code=FolderShared.code, detail=detail)
        raise FolderShared(f"The folder {folder!r} {detail}.", errors=(fault,))


def _name_taken(name: str) -> BrokerNameTaken:
    fault = FieldError(pointer="/name", code=BrokerNameTaken.code, detail="Choose another.")
    return BrokerNameTaken(
        f"There is already a broker called {name!r}; names are unique in all domains: choose another.", errors=(fault,)
    )


def remove_broker(*, broker: BrokerId, actor: Actor, now: datetime) -> None:
    """Nothing. Gatehouse forgets the broker and leaves it as it is; the access log keeps its lines."""
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().filter(id=broker).first()
        if row is None:
            raise queries.BrokerNotFound("That broker is no longer registered.")
        domain, name, kind = DomainId(row.domain_id), row.name, row.kind
        row.delete()
        record(
            action="brokers.broker.removed",
            subject=Subject(kind="brokers.broker", id=str(broker), label=name),
            actor=actor,
            now=now,
            domain=domain,
            before={"name": name, "kind": kind},
        )
