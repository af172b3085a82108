"""The kinds of broker for people: what each is called, and what a form asks of how it is spoken to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brokers.core.decide.snippets import NAMES
from brokers.core.hivemq.connection import SqlDialect
from brokers.core.values import AdapterKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KindForm:
    """`members` of its connection, `api/host` for one within `api`, each with what the form begins with.

    A number asks for one, a mapping for one of its keys; `where` says whose host and port they are. `optional` are
    those that may be left out; `api`, `log` and `rest` may, as a whole.
    """

    title: str
    members: Mapping[str, Any]
    where: str = ""
    optional: frozenset[str] = frozenset({"ca_pem"})

    def may_lack(self, name: str) -> bool:
        """Whether the member may be left out."""
        return name in self.optional or name.partition("/")[0] in {"api", "log", "rest"}


def _place(port: int, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "ca_pem": "", **more}


_ACCOUNT = {"username": "", "password": ""}
_DATABASE = {"database": "", **_ACCOUNT}
_FOLDER = {"files/directory": ""}
_REST = {"rest/host": "", "rest/port": None, "rest/ca_pem": "", "rest/username": "", "rest/password": ""}
_LOG = {"log/directory": ""}
_API = {"api/host": "", "api/port": None, "api/ca_pem": "", "api/api_key": ""}
_SYSTEM = {"system_user": "", "system_password": "", "account": ""}

KINDS: Mapping[AdapterKind, KindForm] = {
    AdapterKind.MOSQUITTO_DYNSEC: KindForm(
        title="Mosquitto: dynamic security",
        where="The listener for the control account: one that devices do not reach.",
        members=_place(1884, **_ACCOUNT, **_FOLDER),
        optional=frozenset({"ca_pem", "files/directory"}),
    ),
    AdapterKind.MOSQUITTO_FILES: KindForm(title="Mosquitto: ACL file", members=_FOLDER),
    AdapterKind.GOAUTH_POSTGRESQL: KindForm(
        title="Mosquitto with go-auth: PostgreSQL",
        where="The PostgreSQL that the plugin asks.",
        members=_place(5432, **_DATABASE),
    ),
    AdapterKind.GOAUTH_REDIS: KindForm(
        title="Mosquitto with go-auth: Redis",
        where="The Redis that the plugin asks.",
        members=_place(6379, database=0, **_ACCOUNT),
        optional=frozenset({"ca_pem", "username", "password", "database"}),
    ),
    AdapterKind.EMQX: KindForm(
        title="EMQX",
        where="The management API, whose port is 18083 or, with TLS, 18084.",
        members=_place(18083, api_key="", api_secret=""),
    ),
    AdapterKind.RABBITMQ: KindForm(
        title="RabbitMQ",
        where="The management API, whose port is 15672 or, with TLS, 15671.",
        members=_place(15672, **_ACCOUNT, vhost="/"),
        optional=frozenset({"ca_pem", "vhost"}),
    ),
    AdapterKind.HIVEMQ_ESE_SQL: KindForm(
        title="HiveMQ: security extension, SQL",
        where="The database of the SQL realm.",
        members={
            "dialect": {SqlDialect.POSTGRESQL: "PostgreSQL", SqlDialect.MYSQL: "MySQL or MariaDB"},
            **_place(5432, **_DATABASE, **_REST, **_LOG),
        },
    ),
    AdapterKind.HIVEMQ_ESE_FILE: KindForm(
        title="HiveMQ: security extension, file", members={**_FOLDER, **_REST, **_LOG}
    ),
    AdapterKind.HIVEMQ_CE_FILE: KindForm(title="HiveMQ Community Edition: file", members=_FOLDER),
    AdapterKind.VERNEMQ_POSTGRESQL: KindForm(
        title="VerneMQ: PostgreSQL",
        where="The PostgreSQL that vmq_diversity asks.",
        members=_place(5432, **_DATABASE, **_API),
    ),
    AdapterKind.NANOMQ: KindForm(title="NanoMQ", where="The HTTP API.", members=_place(8081, **_ACCOUNT, **_FOLDER)),
    AdapterKind.NATS: KindForm(
        title="NATS: auth callout",
        where="The port for NATS clients, not for MQTT.",
        members=_place(4222, **_SYSTEM, callout_user="", callout_password="", issuer_seed=""),
    ),
    AdapterKind.NATS_FILES: KindForm(
        title="NATS: users in a file",
        where="The port for NATS clients, not for MQTT.",
        members=_place(4222, **_SYSTEM, **_FOLDER, subject="CN={auth_id}"),
        optional=frozenset({"ca_pem", "subject"}),
    ),
    AdapterKind.HTTP_DECISIONS: KindForm(title="A broker that asks over HTTP", members={"dialect": NAMES}),
}
"""In the order in which they are offered."""
ASKS = frozenset(KINDS) - {
    AdapterKind.HIVEMQ_ESE_SQL,
    AdapterKind.HIVEMQ_ESE_FILE,
    AdapterKind.HIVEMQ_CE_FILE,
    AdapterKind.NATS,
    AdapterKind.NATS_FILES,
}
"""Those whose make can ask Gatehouse over HTTP."""
