"""Registering brokers and forgetting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from brokers import models, queries
from brokers.conf import adapter_class, broker_networks
from brokers.core.connection_changes import shown_connection
from brokers.core.peers import peer_errors
from brokers.core.registration import EMBEDDED, listener_errors, name_errors, refuse
from brokers.core.values import AdapterKind, Broker, BrokerId, Listener
from brokers.services.connections import check_connection, control_name_of
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record


class BrokerNameTaken(Conflict):
    """There is a broker of that name, in this domain or another."""

    code = "broker-name-taken"


class EmbeddedRuns(Conflict):
    """The broker that `manage.py run` brings along is not forgotten while it runs."""

    code = "embedded-runs"


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

    Raises InvalidBroker, which names each wrong member and quotes none of the connection's, BrokerNameTaken,
    FolderShared and AccountShared.
    """
    adapter = adapter_class(kind)
    wrong = [*name_errors(name), *adapter.connection_errors(connection), *listener_errors(listeners)]
    refuse([*wrong, *peer_errors(shown_connection(connection).members, listeners, allowed=broker_networks())])
    broker = BrokerId(new_id())
    check_connection(connection, domain=domain, broker=broker)
    try:
        with transaction.atomic():
            models.Broker.objects.create(
                id=broker,
                domain_id=domain,
                name=name,
                kind=kind,
                connection=queries.sealed_connection(connection, broker=broker),
                control_name=control_name_of(connection),
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
        raise name_taken(name) from error
    return queries.get_broker(id=broker)


def name_taken(name: str) -> BrokerNameTaken:
    """What to raise if there is a broker of that name."""
    fault = FieldError(pointer="/name", code=BrokerNameTaken.code, detail="Choose another.")
    return BrokerNameTaken(
        f"There is already a broker called {name!r}; names are unique in all domains: choose another.", errors=(fault,)
    )


def remove_broker(*, broker: BrokerId, actor: Actor, now: datetime) -> None:
    """Nothing. Gatehouse forgets the broker and leaves it as it is; the access log keeps its lines.

    Raises BrokerNotFound, EmbeddedRuns.
    """
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        domain, name, kind = DomainId(row.domain_id), row.name, row.kind
        if name == EMBEDDED and queries.embedded_pid():
            raise EmbeddedRuns(
                f"{name} is the broker that `manage.py run` brings along, and it runs: end `manage.py run`, start "
                "`manage.py web` and the other processes by themselves, then forget it."
            )
        row.delete()
        record(
            action="brokers.broker.removed",
            subject=Subject(kind="brokers.broker", id=str(broker), label=name),
            actor=actor,
            now=now,
            domain=domain,
            before={"name": name, "kind": kind},
        )
