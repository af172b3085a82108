"""A check is asked for when a broker says that it may have drifted: a real Mosquitto that others change, or empty."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest

from brokers import queries, services, tasks
from brokers.core.values import BrokerId, SyncState
from brokers.listen import checks, keeper, writing
from brokers.listen.checks import CheckAsker
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.brokers.conftest import Hall
from tests.servers import wait_until

NOTICED_SECONDS = 3.0


class Asked:
    """The checks that were asked for: in how many seconds from when."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.fault: Exception | None = None

    def note(self, *, countdown: float, **_: Any) -> None:
        self.waits.append(countdown)
        if self.fault:
            raise self.fault


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(tasks.check_one, "apply_async", asked.note)
    return asked


def test_many_hints_are_one_check_now_and_one_behind_them(asked: Asked) -> None:
    now = 100.0
    asker = CheckAsker(BrokerId(new_id()), clock=lambda: now)
    for _ in range(50):
        asker.ask()
        now += 0.01
    assert asked.waits == [0, pytest.approx(1.99)]
    now = 101.9
    asker.ask()
    assert len(asked.waits) == 2, "the one that is to come will see it"
    now = 102.5
    asker.ask()
    assert asked.waits[2:] == [pytest.approx(1.5)]
    now = 110.0
    asker.ask()
    assert asked.waits[3:] == [0]


def test_queue_that_is_away_does_not_end_the_watch(asked: Asked) -> None:
    asked.fault = OSError("away")
    CheckAsker(BrokerId(new_id())).ask()
    assert asked.waits == [0]


@pytest.fixture
def heard(hall: Hall, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    """A Mosquitto that holds the policy of one device and is listened to; the check that comes of this is past."""
    hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    for name in ("note_events", "note_heard"):
        monkeypatch.setattr(writing, name, lambda **_: None)
    for module in (keeper, writing):
        monkeypatch.setattr(module, "close_old_connections", lambda: None)
    stop = Event()
    thread = Thread(target=keeper._watch, args=(queries.link_to(broker=hall.broker.id), stop))
    thread.start()
    wait_until(lambda: bool(asked.waits), what="it is listened to")
    asked.waits.clear()
    time.sleep(checks.APART_SECONDS)
    yield hall
    stop.set()
    thread.join(90)


def check(hall: Hall) -> SyncState:
    return services.check_drift(broker=hall.broker.id, now=utc_now()).sync


@pytest.mark.e2e
def test_mosquitto_that_restarts_empty_is_noticed_and_filled_again(heard: Hall, asked: Asked) -> None:
    heard.live.stop()
    heard.live.forget_all()
    heard.live.start()
    wait_until(lambda: bool(asked.waits), seconds=NOTICED_SECONDS, what="a check is asked for")
    assert "p-1" not in heard.live.ctrl("listClients")
    assert check(heard) is SyncState.IN_SYNC
    assert "p-1" in heard.live.ctrl("listClients")


@pytest.mark.e2e
def test_what_others_change_at_mosquitto_is_noticed(heard: Hall, asked: Asked) -> None:
    assert "p-1" in heard.live.ctrl("listClients"), "who only looks changes nothing"
    services.check_drift(broker=heard.broker.id, now=utc_now())
    heard.fleet.enroll("p-2")
    services.converge(broker=heard.broker.id, now=utc_now())
    time.sleep(1.0)
    assert asked.waits == [], "what Gatehouse does is no news"
    heard.live.ctrl("deleteClient", "p-1")
    wait_until(lambda: bool(asked.waits), seconds=NOTICED_SECONDS, what="a check is asked for")
    assert check(heard) is SyncState.DRIFT
