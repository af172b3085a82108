"""Reading brokers, plans, sessions and the access log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from django.db.models import QuerySet, Sum

from brokers import models
from brokers.conf import access_log_root, adapter_for, embedded_folder
from brokers.core.access.reasons import AccessAction
from brokers.core.connection_changes import ShownConnection, shown_connection
from brokers.core.decide.decisions import DecisionSecret
from brokers.core.plans import Plan
from brokers.core.ports import Capabilities
from brokers.core.token_keys import TokenKey
from brokers.core.values import AccessEvent, AccessKind, Broker, BrokerId, BrokerLink, Connection, PlanId, Session
from devices.core.names import check_slug
from devices.core.ports import BrokerEndpoint
from devices.core.values import DeviceId
from kernel.conf import master_key
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from kernel.queries import unknown_master_keys

CONNECTION_PURPOSE = "brokers.connection"
PROTOCOL_VERSIONS = {
    "nats": ("3.1.1",),
    "mosquitto-dynsec": ("3.1.1", "5"),
    "mosquitto-files": ("3.1.1", "5"),
    "goauth-postgresql": ("3.1.1", "5"),
    "rabbitmq": ("3.1.1",),
    "hivemq-ese-sql": ("3.1.1", "5"),
    "emqx": ("3.1.1", "5"),
    "vernemq-postgresql": ("3.1.1", "5"),
    "hivemq-ese-file": ("3.1.1", "5"),
    "hivemq-ce-file": ("3.1.1", "5"),
    "nats-files": ("3.1.1",),
    "goauth-redis": ("3.1.1", "5"),
    "nanomq": ("3.1.1", "5"),
    "http-decisions": ("3.1.1", "5"),
}


class BrokerNotFound(NotFound):
    """There is no such broker, or none that may be seen."""

    code = "broker-not-found"


class AccessFileNotFound(NotFound):
    """There is no file of the access log of that day."""

    code = "access-file-not-found"


class PlanNotFound(NotFound):
    """There is no such plan of that broker."""

    code = "plan-not-found"


def list_brokers(*, domains: Sequence[DomainId] | None) -> list[Broker]:
    """The brokers of the domains (of all, if None), by name."""
    rows = models.Broker.objects.with_domain().order_by("name")
    return [row.as_value() for row in (rows if domains is None else rows.of_domains(domains))]


def get_broker(
    *, name: str | None = None, id: BrokerId | None = None, domains: Sequence[DomainId] | None = None
) -> Broker:
    """The broker of that name or id, in one of `domains` if they are given. Raises BrokerNotFound."""
    rows = models.Broker.objects.with_domain()
    rows = rows.filter(name=name) if id is None else rows.filter(id=id)
    if domains is not None:
        rows = rows.of_domains(domains)
    row = rows.first()
    if row is None:
        raise BrokerNotFound(f"There is no broker {str(name or id)[:64]!r}: list the brokers to see those there are.")
    return row.as_value()


def all_brokers() -> list[BrokerId]:
    """The ids of the brokers of every domain, by name."""
    return [BrokerId(key) for key in models.Broker.objects.order_by("name").values_list("id", flat=True)]


def find_broker_id(*, name: str) -> BrokerId | None:
    """The id of the broker of that name, or None."""
    found = models.Broker.objects.filter(name=name).values_list("id", flat=True).first()
    return BrokerId(found) if found else None


def is_registered(*, broker: BrokerId) -> bool:
    """Whether there is a broker of that id."""
    return models.Broker.objects.filter(id=broker).exists()


def registered(found: QuerySet[models.Broker]) -> models.Broker:
    """The broker that was found. Raises BrokerNotFound."""
    row = found.first()
    if row is None:
        raise BrokerNotFound("That broker is no longer registered.")
    return row


def link_to(*, broker: BrokerId) -> BrokerLink:
    """The broker and how it is spoken to. Raises BrokerNotFound."""
    row = registered(models.Broker.objects.with_domain().filter(id=broker))
    return BrokerLink(broker=row.as_value(), connection=opened_connection(row))


def shown_connection_of(*, broker: BrokerId) -> ShownConnection:
    """How the broker is spoken to, without secrets, for those who may change it. Raises BrokerNotFound."""
    return shown_connection(link_to(broker=broker).connection)


def opened_connection(row: models.Broker) -> Connection:
    """How the broker is spoken to."""
    opened = master_key().unwrap(bytes(row.connection), purpose=CONNECTION_PURPOSE, context=str(row.id))
    return Connection(json.loads(opened))


def sealed_connection(connection: Mapping[str, Any], *, broker: BrokerId) -> bytes:
    """The same as the broker's row keeps it: an envelope under the master key."""
    text = json.dumps(dict(connection)).encode()
    return master_key().wrap(text, purpose=CONNECTION_PURPOSE, context=str(broker))


def unknown_connection_keys() -> set[str]:
    """The ids (hex) of master keys that connections and keys of tokens hang on, and that are not known here."""
    connections = unknown_master_keys(rows=models.Broker.objects.all(), column="connection")
    return connections | unknown_master_keys(rows=models.TokenKey.objects.all(), column="private_key")


def decision_secrets_of(*, broker: BrokerId) -> list[DecisionSecret]:
    """The secrets by which the broker asks over HTTP, the oldest first."""
    return [row.as_value() for row in models.DecisionSecret.objects.filter(broker_id=broker).order_by("id")]


def list_token_keys() -> list[TokenKey]:
    """The keys that sign access tokens, did, or will, and whose tokens are taken, in the order of their making."""
    return [row.as_value() for row in models.TokenKey.objects.order_by("number")]


def get_plan(*, plan: PlanId, broker: BrokerId) -> Plan:
    """The plan of that broker. Raises PlanNotFound."""
    row = models.Plan.objects.filter(id=plan, broker_id=broker).first()
    if row is None:
        raise PlanNotFound("This broker has no such plan: make a new one.")
    return row.as_value()


def sessions_of(*, device: DeviceId) -> list[Session]:
    """Where the device is connected now, oldest first."""
    return [row.as_value() for row in models.Session.objects.of_device(device)]


def sessions_on(*, broker: BrokerId, after: tuple[str, str] | None = None, limit: int = 100) -> list[Session]:
    """Who is connected to the broker, by (auth id, client id), beyond `after`, at most `limit`."""
    rows = models.Session.objects.filter(broker_id=broker).order_by("auth_id", "client_id").select_related("broker")
    if after is not None:
        rows = rows.filter(auth_id__gte=after[0]).exclude(auth_id=after[0], client_id__lte=after[1])
    return [row.as_value() for row in rows[:limit]]


def count_sessions(*, broker: BrokerId) -> int:
    """How many sessions are open on the broker, as far as it told us."""
    return models.Session.objects.filter(broker_id=broker).count()


def events_of(*, device: DeviceId, limit: int = 50) -> list[AccessEvent]:
    """The newest lines of the access log about the device, newest first."""
    return [row.as_value() for row in models.AccessEvent.objects.filter(device_id=device).order_by("-id")[:limit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which lines of the access log are meant; what is None does not narrow."""

    device: DeviceId | None = None
    broker: str | None = None
    kind: AccessKind | None = None
    action: AccessAction | None = None


def list_events(
    *, domains: Sequence[DomainId], narrowed: LogFilter | None = None, before: int | None = None, limit: int = 100
) -> list[AccessEvent]:
    """The lines of the domains, the newest first, older than the line `before`, at most `limit`."""
    rows = _lines(domains, narrowed or LogFilter())
    rows = rows if before is None else rows.filter(id__lt=before)
    return [row.as_value() for row in rows.order_by("-id")[:limit]]


def count_events(*, domains: Sequence[DomainId], narrowed: LogFilter | None = None) -> int:
    """How many lines there are; 10,000 if there are more."""
    return _lines(domains, narrowed or LogFilter())[:_COUNTED].count()


def _lines(domains: Sequence[DomainId], narrowed: LogFilter) -> QuerySet[models.AccessEvent]:
    asked = {
        "device_id": narrowed.device,
        "broker_name": narrowed.broker,
        "kind": narrowed.kind,
        "action": narrowed.action,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return models.AccessEvent.objects.filter(domain_id__in=domains, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFile:
    """The access log of one whole day (UTC) as a gzipped file of JSON lines."""

    domain: str
    day: date
    octets: int

    @property
    def name(self) -> str:
        """What it is called where it is fetched."""
        return f"access-log-{self.domain}-{self.day.isoformat()}.ndjson.gz"


def list_access_files(*, domain: str) -> list[AccessFile]:
    """The files of the domain of that slug, the newest first."""
    found = []
    for path in sorted(access_folder(domain=domain).glob("*.ndjson.gz"), reverse=True):
        with suppress(ValueError, FileNotFoundError):
            day = date.fromisoformat(path.name.removesuffix(".ndjson.gz"))
            found.append(AccessFile(domain=domain, day=day, octets=path.stat().st_size))
    return found


def find_access_file(*, domain: str, day: str) -> AccessFile:
    """The file of the day that is spelled like 2026-11-21. Raises AccessFileNotFound."""
    try:
        wanted = date.fromisoformat(day)
        if wanted.isoformat() == day:
            octets = access_file(domain=domain, day=wanted).stat().st_size
            return AccessFile(domain=domain, day=wanted, octets=octets)
    except (ValueError, FileNotFoundError):
        pass
    raise AccessFileNotFound("There is no file of that day: a file is made when its day has ended.")


def read_access_file(file: AccessFile) -> Iterator[bytes]:
    """What is in the file, some at a time."""
    with access_file(domain=file.domain, day=file.day).open("rb") as opened:
        while some := opened.read(_READ_AT_ONCE):
            yield some


def access_file(*, domain: str, day: date) -> Path:
    """Where the file of that day is, or would be."""
    return access_folder(domain=domain) / f"{day.isoformat()}.ndjson.gz"


def access_folder(*, domain: str) -> Path:
    """Where the files of the domain of that slug are; a slug is no path to anywhere else."""
    return access_log_root() / check_slug(domain)


def embedded_pid() -> int | None:
    """The process of the broker that `manage.py run` brings along, if it runs on this machine."""
    with suppress(OSError, ValueError):
        pid = int((embedded_folder() / "nats.pid").read_text())
        if str(embedded_folder() / "nats.conf").encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def capabilities_of(*, broker: BrokerId) -> Capabilities:
    """What the broker can enforce, as it is connected, and what it never does."""
    return adapter_for(link_to(broker=broker)).capabilities_here()


_LOOKED_AT = 1_000
_COUNTED = 10_000
_READ_AT_ONCE = 65_536


def refusals_in(*, domains: Sequence[DomainId], limit: int = 8) -> list[AccessEvent]:
    """Who was refused or denied lately, newest first: among the newest 1,000 lines of the access log."""
    rows = models.AccessEvent.objects.filter(domain_id__in=domains).order_by("-id")[:_LOOKED_AT]
    refused = (row.as_value() for row in rows if row.kind in {AccessKind.REFUSED, AccessKind.DENIED})
    return list(islice(refused, limit))


def count_lost_events() -> int:
    """How much brokers told that could not be written down, in the last 400 days."""
    return models.HeardDay.objects.aggregate(lost=Sum("lost"))["lost"] or 0


def is_control_name(*, domain: DomainId, name: str) -> bool:
    """Whether a broker of the domain is controlled by an account of that name."""
    return models.Broker.objects.filter(domain_id=domain, control_name=name).exists()


def endpoints(domain: DomainId) -> list[BrokerEndpoint]:
    """Where the devices of the domain connect: each listener of each broker that holds its policy, by name.

    A broker to which no plan was applied yet knows no device.
    """
    return [
        BrokerEndpoint(
            name=broker.name,
            host=listener.host,
            port=listener.port,
            transport=listener.transport.value,
            protocol_versions=PROTOCOL_VERSIONS[broker.kind],
            takes_passwords=broker.takes_passwords is True,
        )
        for broker in list_brokers(domains=[domain])
        if broker.managed_since is not None
        for listener in broker.listeners
    ]
