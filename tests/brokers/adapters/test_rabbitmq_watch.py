"""What a real RabbitMQ tells of accounts that others change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from brokers.adapters.rabbitmq import RabbitmqAdapter
from brokers.core.values import AccessKind, BrokerEvent, DriftHint, FeedItem
from tests.brokers.adapters.test_rabbitmq import House, bring_to, house, running
from tests.brokers.bringing import all_of
from tests.brokers.core.real_rabbitmq import Client
from tests.brokers.subjects import DOWN, UP, subject
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
__all__ = ["house", "running"]


class Ear:
    """Who listens to a broker, in a thread; nothing is told any more when it begins."""

    def __init__(self, adapter: RabbitmqAdapter) -> None:
        self.items: list[FeedItem] = []
        self._end = Event()
        self._thread = Thread(target=lambda: self.items.extend(adapter.watch(self._end)))
        self._thread.start()
        wait_until(lambda: bool(self.items), what="it says when the broker started")
        time.sleep(1.2)  # for what was told before

    @property
    def hints(self) -> int:
        return sum(isinstance(item, DriftHint) for item in self.items)

    @property
    def events(self) -> list[BrokerEvent]:
        return [item for item in self.items if isinstance(item, BrokerEvent)]

    @contextmanager
    def noticing(self, what: str) -> Iterator[None]:
        """What is done meanwhile is hinted at within three seconds."""
        before = self.hints
        yield
        wait_until(lambda: self.hints > before, seconds=3, what=what)
        time.sleep(0.7)  # for what is told besides

    def stop(self) -> None:
        self._end.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def ear(house: House) -> Iterator[Ear]:
    made = Ear(house.adapter())
    yield made
    made.stop()


def test_who_connects_to_another_virtual_host_is_nobody_here(house: House) -> None:
    house.ask("PUT", "vhosts/plant")
    for vhost in ("plant", "%2F"):
        house.ask("PUT", f"permissions/{vhost}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
    there = Client(house.rabbit.port, "plant:guest", "there-before", password="guest")
    ear = Ear(house.adapter())
    for username, client_id in (("plant:guest", "there"), ("guest", "here")):
        Client(house.rabbit.port, username, client_id, password="guest").close()
    there.close()
    wait_until(lambda: [event.kind for event in ear.events][-1:] == [AccessKind.DISCONNECTED], what="here has ended")
    time.sleep(0.7)
    ear.stop()
    house.ask("DELETE", "vhosts/plant")
    named = [(event.kind, event.client_id) for event in ear.events if event.client_id]
    assert named == [(AccessKind.CONNECTED, "here"), (AccessKind.DISCONNECTED, "here")]
    assert [event.auth_id for event in ear.events if event.kind is AccessKind.CONNECTED] == ["guest"]


def test_what_others_change_is_noticed_and_what_we_write_is_no_news(house: House, ear: Ear) -> None:
    adapter, before = house.adapter(), ear.hints
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    bring_to(adapter, all_of(subject("alpha", UP, DOWN)))
    house.ask("PUT", "vhosts/plant")
    house.ask("PUT", "permissions/plant/guest", {"configure": "", "write": "", "read": ""})
    house.ask("DELETE", "vhosts/plant")
    time.sleep(1.2)
    assert ear.hints == before, "ours, and those of another virtual host"
    here, topics = "permissions/%2F/alpha", "topic-permissions/%2F/alpha"
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    for method, path, body in (
        ("PUT", here, everything),
        ("DELETE", here, None),
        ("PUT", topics, {"exchange": "amq.topic", "write": ".*", "read": ".*"}),
        ("DELETE", topics, None),
        ("DELETE", "users/alpha", None),
        ("PUT", "users/alpha", {"password": "by hand", "tags": ""}),
    ):
        with ear.noticing(f"{method} {path}"):
            house.ask(method, path, body)
