"""A Mosquitto that is set up right from its first start: configuration, certificate, CRL and control account."""

from __future__ import annotations

import ipaddress
import os
import pwd
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from brokers.conf import files_root
from brokers.core.mosquitto.conf import (
    CLIENT_CA_FILE,
    CONFIGURATION_FILE,
    CRL_FILE,
    DYNSEC_FILE,
    DYNSEC_PLUGIN,
    SERVER_CERTIFICATE_FILE,
    SERVER_KEY_FILE,
    MosquittoSettings,
    mosquitto_conf,
)
from brokers.core.mosquitto.dynsec_file import first_file
from brokers.core.values import AdapterKind, Broker, Listener
from brokers.services.registering import register_broker
from brokers.services.server_certificates import issue_server_certificate
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId
from kernel.core.secrets import new_token
from pki import queries as pki

CONTROL_USER = "gatehouse/control"  # no device can be called so: names have no slash


class FolderTaken(Conflict):
    """There is something in the folder already."""

    code = "broker-folder-taken"


def scaffold_mosquitto(
    *,
    domain: DomainId,
    name: str,
    hosts: Sequence[str],
    device_port: int,
    control_port: int,
    directory: PurePosixPath | None = None,
    plugin: str = DYNSEC_PLUGIN,
    actor: Actor,
    now: datetime,
) -> tuple[Broker, Path]:
    """The registered broker, and the configuration file to start it with: `mosquitto -c <file>`.

    `hosts` are the names and addresses that devices use; `directory` is the folder as the broker sees it, if that is
    another machine's or container's view; `plugin` is where that has the plugin.
    Raises FolderTaken, InvalidBroker, BrokerNameTaken, NoIssuer.
    """
    folder = files_root() / name
    if folder.exists() and any(folder.iterdir()):
        raise FolderTaken(f"The folder {folder} is not empty: choose another name, or remove what is in it.")
    password = new_token()
    broker = register_broker(
        domain=domain,
        name=name,
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={
            "host": "127.0.0.1",
            "port": control_port,
            "username": CONTROL_USER,
            "password": password,
            "files": {"directory": name},
        },
        listeners=[Listener(host=hosts[0], port=device_port)],
        actor=actor,
        now=now,
    )
    server = issue_server_certificate(
        broker=broker.id,
        domain=domain,
        dns_names=[host for host in hosts if not _is_address(host)],
        ip_addresses=[host for host in hosts if _is_address(host)],
        actor=actor,
        now=now,
    )
    settings = MosquittoSettings(
        directory=directory or PurePosixPath(folder),
        device_port=device_port,
        control_port=control_port,
        plugin=plugin,
        # Mosquitto reads the CRL again as this user: one who can not would leave revoked certificates accepted
        user=pwd.getpwuid(os.getuid()).pw_name,
        persistence=True,
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / DYNSEC_FILE, first_file(username=CONTROL_USER, password=password))
    _write(folder / SERVER_KEY_FILE, server.key_pem)
    _write(folder / SERVER_CERTIFICATE_FILE, server.chain_pem)
    _write(folder / CLIENT_CA_FILE, pki.trust_bundle(domain=domain))
    _write(folder / CRL_FILE, pki.crl_bundle(domain=domain))
    _write(folder / CONFIGURATION_FILE, mosquitto_conf(settings))
    return broker, folder / CONFIGURATION_FILE


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
