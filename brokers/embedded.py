"""The broker that `manage.py run` brings along: a NATS server on loopback that asks us at each CONNECT.

Its secrets are made once for each installation and kept in GATEHOUSE_HOME/embedded at mode 0600.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from brokers import queries
from brokers.conf import embedded_folder
from brokers.core.nats.conf import NatsServer, render_conf
from brokers.core.nats.nkeys import AccountKey
from brokers.core.registration import EMBEDDED as NAME
from brokers.core.values import AdapterKind, Broker, Listener
from brokers.services.changing import BrokerChange, change_broker
from brokers.services.server_certificates import is_due, issue_server_certificate
from kernel.core.actor import SYSTEM
from kernel.core.errors import Conflict
from kernel.core.secrets import new_token
from pki import queries as pki

HOST = "127.0.0.1"
ACCOUNT = "FLEET"


class NoServerBinary(Conflict):
    """The NATS server is not installed."""

    code = "nats-server-missing"


def embedded_connection() -> dict[str, Any]:
    """How the embedded broker is spoken to; made on the first call, and the same until its file is lost."""
    path = _folder() / "connection.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
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
    broker = _registered()
    if broker is None:
        return None
    connection = embedded_connection()
    if not _is_free(connection["port"]):
        connection = {**connection, "port": _free_port()}
        _write(_folder() / "connection.json", json.dumps(connection))
    change = BrokerChange(connection={"ca_pem": None} | connection, listeners=embedded_listeners())
    change_broker(broker=broker.id, change=change, actor=SYSTEM, now=now)
    _renew_certificates(broker, now=now)
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


def refresh_embedded(*, now: datetime) -> bool:
    """Whether the server, if it runs on this machine, was given a newer certificate or trust bundle.

    It then closes every connection; devices come back by themselves. Once in two months, if no CA changes.
    """
    broker = _registered() if (embedded_folder() / "nats.pid").exists() else None
    if broker is None or not _renew_certificates(broker, now=now):
        return False
    pid = queries.embedded_pid()
    if pid is not None:  # else it has ended; the next start reads the new files
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGHUP)
    return True


def _registered() -> Broker | None:
    known = queries.find_broker_id(name=NAME)
    broker = queries.get_broker(id=known) if known else None
    return broker if broker and broker.kind is AdapterKind.NATS else None


def _folder() -> Path:
    folder = embedded_folder()
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


def _renew_certificates(broker: Broker, *, now: datetime) -> bool:
    """Whether there is something new: the trust bundle, or a server certificate, a third of whose life was left.

    One that was lost, or whose key was, is as one that ends.
    """
    folder = _folder()
    path, trust, bundle = folder / "server.crt", folder / "ca.crt", pki.trust_bundle(domain=broker.domain)
    renew = not _is_pair(path, folder / "server.key") or is_due(path.read_bytes(), now=now)
    if renew:
        issued = issue_server_certificate(
            broker=broker.id,
            domain=broker.domain,
            dns_names=["localhost"],
            ip_addresses=[HOST, "::1"],
            actor=SYSTEM,
            now=now,
        )
        _write(folder / "server.key", issued.key_pem)
        _write(path, issued.chain_pem)
    if not renew and trust.exists() and trust.read_text(encoding="utf-8") == bundle:
        return False
    _write(trust, bundle)
    return True


def _is_pair(certificate: Path, key: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError:  # which what ssl raises is too
        return False
    return True


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
