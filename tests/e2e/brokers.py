"""The brokers that the journeys run against, each as its operator has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.e2e.house import Enrolled, House
from tests.e2e.mqtt import MqttDevice
from tests.servers import free_port, is_open, wait_until


class LiveBroker(Protocol):
    """One broker that is up."""

    name: str

    def open(self, device: Enrolled, **options: Any) -> MqttDevice:
        """A connection that is not yet made."""
        ...

    def down(self) -> Any:
        """A context in which the broker is down."""
        ...


def admit(broker: LiveBroker, device: Enrolled, *, seconds: float = 90, **options: Any) -> MqttDevice:
    """A connection with the device's rights in force: a client id that has just left may have to retry."""
    end = time.monotonic() + seconds
    while True:
        connection = broker.open(device, **options)
        if connection.connect() and connection.subscribe(f"default/{device.identity.name}/down/#") < 128:
            return connection
        connection.close()
        assert time.monotonic() < end, f"{device.identity.name} was not admitted by {broker.name}"
        time.sleep(0.2)


def is_mute(broker: LiveBroker, device: Enrolled) -> bool:
    """Whether the broker refuses the device, or grants it nothing (Mosquitto admits whom its CA certified)."""
    connection = broker.open(device)
    if not connection.connect():
        return True
    answers = [connection.subscribe(topic) for topic in (f"default/{device.identity.name}/down/#", "default/all/#")]
    connection.close()
    return all(answer >= 128 or answer == -1 for answer in answers)


@dataclass
class Embedded:
    """The NATS server that `manage.py run` brings along."""

    house: House
    name: str = "embedded"

    def open(self, device: Enrolled, **options: Any) -> MqttDevice:
        return device.connection(self.house.mqtt_port, **options)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Killed; the supervisor brings it back by itself, maybe before we look."""
        for process in self.house.processes("nats-server"):
            os.kill(process, signal.SIGKILL)
        yield


@dataclass
class Mosquitto:
    """A Mosquitto of Debian, set up and registered by `manage.py brokers scaffold`, as the how-to says."""

    house: House
    name: str = "hall-7"
    port: int = field(default_factory=free_port)
    configuration: str = ""
    process: subprocess.Popen[bytes] | None = None

    def set_up(self) -> None:
        """Makes its folder, and starts it."""
        words = ("--device-port", str(self.port), "--control-port", str(free_port()))
        told = json.loads(self.house.manage("brokers", "scaffold", self.name, *words, "--json"))
        self.configuration = told["configuration"]
        self.start()

    def start(self) -> None:
        """Starts it and waits until devices may connect."""
        self.process = process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", self.configuration])
        wait_until(lambda: is_open(self.port) or process.poll() is not None, what="Mosquitto listens")
        assert process.poll() is None, "Mosquitto did not start"

    def stop(self) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def open(self, device: Enrolled, **options: Any) -> MqttDevice:
        return device.connection(self.port, **options)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Stopped, with what it holds kept on its disk."""
        self.stop()
        try:
            yield
        finally:
            self.start()
