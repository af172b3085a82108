"""A real NATS server that includes a file of users, the folder that it shares, and its devices; no database."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from brokers.adapters.nats_files import FILE, NatsFilesAdapter
from brokers.core.values import AdapterKind
from tests.brokers.conftest import OpensslCa
from tests.brokers.links import broker_link
from tests.brokers.nats.server import PROGRAM
from tests.e2e.mqtt import Identity, MqttDevice
from tests.servers import free_port, is_open, wait_until

AS_IT_BEGINS = "users: []\n"


def plain_listener(hall: Hall) -> str:
    """One for MQTT over TLS."""
    certificate, key = hall.ca.make("broker", "subjectAltName=IP:127.0.0.1")
    return (
        f"mqtt {{ listen: 127.0.0.1:{hall.mqtt_port}\n  tls {{ cert_file: {certificate}, key_file: {key}, "
        f"ca_file: {hall.ca.folder}/ca.pem, verify_and_map: true, timeout: 30 }} }}\n"
    )


class Hall:
    """It runs from the beginning; `listening` is what its configuration says of listeners for devices."""

    def __init__(self, home: Path, ca: OpensslCa, listening: Callable[[Hall], str] = plain_listener) -> None:
        self.ca, self.port, self.mqtt_port, self.wss_port = ca, free_port(), free_port(), free_port()
        self.folder = home / "brokers" / "hall-5"
        self.folder.mkdir(parents=True)
        (self.folder / FILE).write_text(AS_IT_BEGINS)
        self.conf, self.log = home / "nats.conf", home / "log"
        self.good = (
            f"server_name: gw-1\nlisten: 127.0.0.1:{self.port}\njetstream {{ store_dir: {home}/js }}\n"
            "accounts {\n  SYS { users: [ { user: system, password: pw } ] }\n"
            f"  FLEET {{ jetstream: enabled, include 'brokers/hall-5/{FILE}' }}\n}}\nsystem_account: SYS\n"
        ) + listening(self)
        self.conf.write_text(self.good)
        self.devices: list[MqttDevice] = []
        self.start()

    @property
    def adapter(self) -> NatsFilesAdapter:
        """A new one."""
        return self.adapter_of("FLEET")

    def adapter_of(self, account: str) -> NatsFilesAdapter:
        """That of an account."""
        connection = self.connection | {"account": account}
        assert not NatsFilesAdapter.connection_errors(connection)
        return NatsFilesAdapter(link=broker_link(AdapterKind.NATS_FILES, connection))

    @property
    def connection(self) -> dict[str, object]:
        """What a broker is registered with."""
        return {
            "host": "127.0.0.1", "port": self.port, "system_user": "system", "system_password": "pw",
            "account": "FLEET", "files": {"directory": "hall-5"},
        }  # fmt: skip

    def device(self, name: str, *extensions: str) -> MqttDevice:
        """A connection that is not yet made; its certificate is if it has none."""
        certificate, key = self.ca.folder / f"{name}.pem", self.ca.folder / f"{name}.key"
        if not certificate.exists():
            self.ca.make(name, "extendedKeyUsage=clientAuth", *extensions)
        self.devices.append(
            MqttDevice(Identity(name, certificate, key, self.ca.folder / "ca.pem"), port=self.mqtt_port)
        )
        return self.devices[-1]

    def enters(self, name: str) -> MqttDevice:
        """A connection of that device; a client id that was in use a moment ago may need a second."""
        wait_until(lambda: self.device(name).connect(), what=f"{name} is in")
        return self.devices[-1]

    def launch(self) -> subprocess.Popen[bytes]:
        """The process, whether or not it stays."""
        return subprocess.Popen([str(PROGRAM), "--config", str(self.conf), "--log", str(self.log)])

    def start(self) -> None:
        """Starts it and waits until both ports answer."""
        self.process = self.launch()
        for port in (self.port, self.mqtt_port):
            wait_until(lambda port=port: is_open(port), what="NATS listens")  # type: ignore[misc]

    def kill(self) -> None:
        """Ends it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def end(self) -> None:
        """Ends everything."""
        for device in self.devices:
            device.close()
        self.kill()


@pytest.fixture
def hall(tmp_path: Path, settings: Settings, openssl_ca: OpensslCa) -> Iterator[Hall]:
    """One with a listener for MQTT."""
    settings.GATEHOUSE_HOME = tmp_path
    made = Hall(tmp_path, openssl_ca)
    yield made
    made.end()
