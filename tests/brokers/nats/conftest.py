"""A NATS server with our configuration that trusts a CA of openssl's making; no database."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brokers.core.nats.callout import CalloutRequest
from brokers.core.nats.policy import NatsPermissions
from tests.brokers.conftest import OpensslCa
from tests.brokers.nats.server import LiveNats
from tests.e2e.mqtt import Identity, MqttDevice

Open = Callable[..., MqttDevice]


@pytest.fixture
def nats(tmp_path: Path, openssl_ca: OpensslCa) -> Iterator[LiveNats]:
    server = LiveNats(tmp_path / "nats")
    certificate, key = openssl_ca.make("broker", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    server.prepare(client_ca=openssl_ca.certificate, server_chain=certificate.read_text(), server_key=key.read_text())
    server.start()
    yield server
    server.stop(by=signal.SIGKILL)  # a graceful end may take seconds


@pytest.fixture
def device(nats: LiveNats, openssl_ca: OpensslCa) -> Iterator[Open]:
    """Makes a connection, not yet open, of a device with a certificate; all are closed at the end."""
    made: list[MqttDevice] = []

    def make(name: str, **options: Any) -> MqttDevice:
        certificate = openssl_ca.folder / f"{name}.pem"
        if not certificate.exists():
            openssl_ca.make(name, "extendedKeyUsage=clientAuth")
        trust = openssl_ca.folder / "ca.pem"
        identity = Identity(name, certificate, openssl_ca.folder / f"{name}.key", trust)
        made.append(MqttDevice(identity, port=nats.mqtt_port, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def own_topics(request: CalloutRequest) -> NatsPermissions:
    """What a device may do in these tests: publish below `up`, hear what is below `down`."""
    name = request.client_id
    return NatsPermissions(
        publish_allow=(f"north.{name}.up.>",),
        publish_deny=(f"north.{name}.up.secret",),
        subscribe_allow=(f"north.{name}.down", f"north.{name}.down.>", "north.*.up", "north.*.up.>"),
        subscribe_deny=(),
    )
