"""The broker that `manage.py run` brings along: a NATS server on loopback that asks us at each CONNECT.

Its secrets are made once for each installation and kept in GATEHOUSE_HOME/embedded at mode 0600.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from brokers import queries
from brokers.core.nats_conf import NatsServer, render_conf
from brokers.core.nkeys import AccountKey
from brokers.core.values import AdapterKind, Broker, Listener
from brokers.services.changing import change_connection, change_listeners
from brokers.services.server_certificates import is_due, issue_server_certificate
from kernel.core.actor import SYSTEM
from kernel.core.errors import Conflict
from kernel.core.secrets import new_token
from pki import queries as pki

NAME = "embedded"
HOST = "127.0.0.1"
ACCOUNT = "FLEET"


class NoServerBinary(Conflict):
    """The NATS server is not installed."""

    code = "nats-server-missing"


def embedded_connection() -> dict[str, Any]:
    """How the embedded broker is spoken to; made on the first call, and the same ever after."""
    path = _folder() / "connection.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {
            "host": HOST,
            "port": _free_port(),
            "system_user": "gatehouse-system",
            "system_password": new_token(),
            "callout_user": "gatehouse-callout",
            "callout_password": new_token(),
            "issuer_seed": AccountKey.generate().seed,
            "account": ACCOUNT,
        }
        _write(path, json.dumps(found))
    return found


def embedded_listeners() -> list[Listener]:
    """Where devices reach it."""
    return [Listener(host=HOST, port=settings.GATEHOUSE_MQTT_PORT)]


def prepare_embedded(*, now: datetime) -> list[str] | None:
    """The command line that starts it, once its files are in order; None if no such broker is registered."""
    known = queries.find_broker_id(name=NAME)
    broker = queries.get_broker(id=known) if known else None
    if broker is None or broker.kind is not AdapterKind.NATS:
        return None
    connection = embedded_connection()
    if not _is_free(connection["port"]):
        connection = {**connection, "port": _free_port()}
        _write(_folder() / "connection.json", json.dumps(connection))
    if dict(queries.link_to(broker=broker.id).connection) != connection:
        change_connection(broker=broker.id, connection=connection, actor=SYSTEM, now=now)
    if list(broker.listeners) != embedded_listeners():
        change_listeners(broker=broker.id, listeners=embedded_listeners(), actor=SYSTEM, now=now)
    _renew_certificate(broker, now=now)
    _write(_folder() / "ca.crt", pki.trust_bundle(domain=broker.domain))
    server = NatsServer(
        folder=_folder(),
        name="gatehouse-embedded",
        client_port=connection["port"],
        mqtt_host=HOST,
        mqtt_port=settings.GATEHOUSE_MQTT_PORT,
        issuer=AccountKey.from_seed(connection["issuer_seed"]).public,
        account=ACCOUNT,
        system_user=connection["system_user"],
        system_password=connection["system_password"],
        callout_user=connection["callout_user"],
        callout_password=connection["callout_password"],
    )
    _write(_folder() / "nats.conf", render_conf(server))
    return [_binary(), "--config", str(_folder() / "nats.conf")]


def _folder() -> Path:
    folder = Path(settings.GATEHOUSE_HOME) / "embedded"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _binary() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NoServerBinary("The NATS server is not installed: `make install` brings it.")
    return found


def _write(path: Path, text: str) -> None:
    """Puts the text in place of what is there, at mode 0600, all or nothing."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _renew_certificate(broker: Broker, *, now: datetime) -> None:
    """A server certificate, unless the one there has a third of its life before it."""
    path = _folder() / "server.crt"
    if path.exists() and not is_due(path.read_bytes(), now=now):
        return
    issued = issue_server_certificate(
        broker=broker.id,
        domain=broker.domain,
        dns_names=["localhost"],
        ip_addresses=[HOST, "::1"],
        actor=SYSTEM,
        now=now,
    )
    _write(_folder() / "server.key", issued.key_pem)
    _write(path, issued.chain_pem)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((HOST, port)) != 0


def _free_port() -> int:
    """A port below those that outgoing connections take, so that it is still free at the next start."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        if _is_free(port):
            return port
