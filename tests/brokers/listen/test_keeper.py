"""The keeper of services and watchers, with real NATS servers and a register that each test sets."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from brokers import tasks
from brokers.adapters import nats_system
from brokers.adapters.nats import NatsAdapter
from brokers.core.values import BrokerEvent, BrokerId, BrokerLink, Connection
from brokers.listen import callout, keeper, writing
from brokers.listen.keeper import Keeper
from brokers.services import policy_use
from tests.brokers.listen.test_callout import Judge
from tests.brokers.nats.conftest import Open, device, nats
from tests.brokers.nats.server import LiveNats
from tests.brokers.nats.test_adapter import principal
from tests.e2e.mqtt import MqttDevice
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
__all__ = ["device", "nats"]


class House:
    """A keeper that runs; what it reads and writes is kept here in place of a database."""

    def __init__(self) -> None:
        self.links: dict[BrokerId, BrokerLink] = {}
        self.fault: Exception | None = None
        self.events: list[BrokerEvent] = []
        self.stocks: list[list[str]] = []
        self.looks = 0
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run)

    def read(self) -> dict[BrokerId, BrokerLink]:
        self.looks += 1
        if self.fault:
            raise self.fault
        return dict(self.links)

    def note(self, *, events: list[BrokerEvent], **_: Any) -> None:
        if self.fault:
            raise self.fault
        self.events += events

    def replace(self, *, present: list[BrokerEvent], **_: Any) -> int:
        self.stocks.append(sorted(event.client_id for event in present))
        return 0

    def start(self) -> None:
        self._thread.start()

    def wait_look(self) -> None:
        """Returns when the keeper has done by the register as it is now, and reads it again."""
        wanted = self.looks + 2
        wait_until(lambda: self.looks >= wanted, what="another look at the register")

    def stop(self) -> float:
        """How long its end took."""
        began = time.monotonic()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(90)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def _run(self) -> None:
        async def main() -> None:
            self._stop = asyncio.Event()
            await Keeper().run(self._stop)

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(main())

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(event.kind.value, event.client_id) for event in self.events]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    judge = Judge()
    monkeypatch.setattr(callout, "judge_connect", judge)
    return judge


@pytest.fixture
def house(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House()
    monkeypatch.setattr(keeper, "_links", house.read)
    monkeypatch.setattr(keeper, "refresh_embedded", lambda **_: False)
    monkeypatch.setattr(writing, "note_events", house.note)
    monkeypatch.setattr(writing, "note_heard", lambda **_: None)
    monkeypatch.setattr(policy_use, "flush", lambda: None)
    monkeypatch.setattr(keeper, "replace_sessions", house.replace)
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.2)
    for module in (keeper, writing, callout):
        monkeypatch.setattr(module, "close_old_connections", lambda: None)
    yield house
    if house._thread.is_alive():
        house.stop()


def register(house: House, nats: LiveNats, **changes: Any) -> BrokerId:
    link = replace(nats.link, connection=Connection({**nats.connection, **changes}))
    house.links[link.broker.id] = link
    return link.broker.id


def admit(device: Open, name: str) -> MqttDevice:
    """A connection of the device, which tries until it is let in."""
    for patience in (1, 1, 1, 2, 4, 8, 16, 32):  # the server waits 5 s for an answer, also of nobody
        connection = device(name)
        if connection.connect(seconds=patience):
            return connection
        connection.close()
        time.sleep(0.1)
    raise AssertionError(f"{name} was not let in")


def test_broker_that_is_registered_later_is_answered_and_heard(house: House, nats: LiveNats, device: Open) -> None:
    house.start()
    house.wait_look()
    register(house, nats)
    wait_until(lambda: bool(house.stocks), what="it is heard")
    pump = admit(device, "pump-1")
    wait_until(lambda: ("connected", "pump-1") in house.kinds, what="the connect is written down")
    pump.close()
    wait_until(lambda: ("disconnected", "pump-1") in house.kinds, what="the end is written down")


def test_broker_that_is_removed_is_left_alone(house: House, nats: LiveNats, device: Open) -> None:
    broker = register(house, nats)
    house.start()
    admit(device, "pump-1")
    del house.links[broker]
    house.wait_look()
    assert not device("pump-2").connect()


def test_stock_is_taken_at_the_start_and_again(
    house: House, nats: LiveNats, device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "STOCK_SECONDS", 1.0)
    register(house, nats)
    house.start()
    wait_until(lambda: house.stocks[:1] == [[]], what="the first stock")
    admit(device, "pump-1")
    wait_until(lambda: ["pump-1"] in house.stocks, what="another stock")


def test_broker_that_restarts_is_answered_again(house: House, nats: LiveNats, device: Open) -> None:
    register(house, nats)
    house.start()
    admit(device, "pump-1")
    nats.stop(by=signal.SIGKILL)
    time.sleep(1)
    nats.start()
    admit(device, "pump-1")
    wait_until(
        lambda: house.kinds.count(("connected", "pump-1")) == 2 or house.stocks[-1:] == [["pump-1"]],
        what="it is heard again",
    )


def test_broker_that_restarts_is_checked(house: House, nats: LiveNats, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(tasks.check_one, "apply_async", lambda *, kwargs, **_: asked.append(kwargs["broker"]))
    broker = register(house, nats)
    house.start()
    wait_until(lambda: asked == [str(broker)], what="it is heard")
    nats.stop(by=signal.SIGKILL)
    nats.start()
    wait_until(lambda: asked == [str(broker)] * 2, seconds=3, what="a check is asked for")


def test_silent_broker_is_given_up_and_found_again(
    house: House, nats: LiveNats, device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_system, "PING_SECONDS", 0.5)
    register(house, nats)
    house.start()
    admit(device, "pump-1")
    nats.pause()
    time.sleep(3)
    nats.go_on()
    admit(device, "pump-2")


@pytest.mark.parametrize(
    "changes", [{"issuer_seed": "SA"}, {"callout_password": "wrong"}, {"port": 1}, {"account": "NOBODY"}]
)
def test_broker_that_is_spoken_to_wrongly_holds_up_no_other(
    house: House, nats: LiveNats, device: Open, changes: dict[str, Any]
) -> None:
    register(house, nats, **changes)
    house.start()
    house.wait_look()
    time.sleep(0.3)
    wrong = next(iter(house.links))
    register(house, nats)
    del house.links[wrong]
    admit(device, "pump-1")


def test_changed_connection_is_taken_up(house: House, nats: LiveNats, device: Open) -> None:
    broker = register(house, nats, callout_password="wrong")
    house.start()
    house.wait_look()
    time.sleep(0.3)
    house.links[broker] = replace(house.links[broker], connection=Connection(nats.connection))
    admit(device, "pump-1")


def test_database_that_is_away_ends_nothing(house: House, nats: LiveNats, device: Open) -> None:
    register(house, nats)
    house.start()
    wait_until(lambda: bool(house.stocks), what="it is heard")
    admit(device, "pump-1")
    wait_until(lambda: ("connected", "pump-1") in house.kinds, what="the connect is written down")
    house.fault = OperationalError("away")
    house.wait_look()
    NatsAdapter(link=nats.link).disconnect(principal("pump-1"))
    time.sleep(0.3)
    house.fault = None
    admit(device, "pump-1")
    wait_until(lambda: house.kinds.count(("connected", "pump-1")) == 2, what="it is heard again")


def test_end_comes_quickly_and_leaves_connections_alone(house: House, nats: LiveNats, device: Open) -> None:
    register(house, nats)
    house.start()
    pump = admit(device, "pump-1")
    assert house.stop() < 10
    assert not pump.wait_closed(seconds=0.5)


def test_end_comes_quickly_while_brokers_are_silent(house: House, nats: LiveNats) -> None:
    register(house, nats)
    nats.pause()
    house.start()
    time.sleep(1)
    assert house.stop() < 10
    nats.go_on()
