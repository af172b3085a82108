"""Writing down what brokers tell: in the order of time, bounded, and later if the database is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import InterfaceError, OperationalError

from brokers.core.values import AccessKind, BrokerEvent, BrokerId, EventsLost, FeedItem, LogPlace
from brokers.listen import keeper, writing
from brokers.listen.checks import CheckAsker
from brokers.listen.intake import Intake
from brokers.listen.writing import EventWriter
from tests.brokers.links import broker_link
from tests.cast import NOW
from tests.servers import wait_until

HALL = BrokerId(uuid4())


def event(second: int, client: str = "pump-1") -> BrokerEvent:
    return BrokerEvent(at=NOW + timedelta(seconds=second), kind=AccessKind.CONNECTED, client_id=client)


class Table:
    """In place of the database: it takes nothing until it is opened, and nothing while it has a fault."""

    def __init__(self) -> None:
        self.open, self.busy = Event(), Event()
        self.fault: Exception | None = None
        self.tries = 0
        self.written: list[tuple[BrokerId, BrokerEvent]] = []
        self.lost = 0

    def note(self, *, broker: BrokerId, events: Sequence[BrokerEvent], **_: Any) -> None:
        """Takes them."""
        self.tries += 1
        self.busy.set()
        assert self.open.wait(60)
        if self.fault:
            raise self.fault
        self.written += [(broker, event) for event in events]

    def note_lost(self, *, count: int, **_: object) -> None:
        """Counts them."""
        self.lost += count

    @property
    def clients(self) -> list[str]:
        return [event.client_id for _, event in self.written]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    made = Table()
    monkeypatch.setattr(writing, "note_events", made.note)
    monkeypatch.setattr(writing, "note_lost", made.note_lost)
    monkeypatch.setattr(writing, "note_heard", lambda **_: None)
    monkeypatch.setattr(writing, "close_old_connections", lambda: None)
    monkeypatch.setattr(writing, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(writing.log, "propagate", True)
    return made


def test_broker_that_waits_for_nobody_is_taken_from_and_what_is_lost_is_counted(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database hangs; a broker whose lines stand nowhere goes on telling."""
    monkeypatch.setattr(writing, "MOST_WAITING", 100)
    stop, told, heard = Event(), 0, []

    def tell(*_: object) -> Iterator[FeedItem]:
        nonlocal told
        for told in range(200):
            yield event(told)
        yield EventsLost(7)

    adapter = SimpleNamespace(watch=tell)
    monkeypatch.setattr(keeper, "adapter_for", lambda _: adapter)
    monkeypatch.setattr(keeper, "close_old_connections", lambda: None)
    monkeypatch.setattr(writing, "note_heard", lambda **_: heard.append(True))
    for kind in keeper.WAITS_FOR_NOBODY:
        writer = EventWriter(HALL)
        link = broker_link(kind, {})
        keeper._watch_once(link, writer, CheckAsker(HALL), stop)
        assert (told, table.lost) == (199, 107)
        table.open.set()
        writer.close()
        assert heard, "it was heard"
        table.open.clear()
        table.lost = 0
        heard.clear()


def test_what_waits_is_written_in_the_order_in_which_it_happened(table: Table) -> None:
    intake, other = Intake(), BrokerId(uuid4())
    intake.take(HALL, [event(0)])
    table.busy.wait()
    intake.take(HALL, [event(9), event(3)])
    intake.take(other, [event(5)])
    table.open.set()
    intake.close()
    assert [told.at for broker, told in table.written if broker == HALL] == [event(each).at for each in (0, 3, 9)]
    assert [told for broker, told in table.written if broker == other] == [event(5)]


def test_what_is_too_much_is_counted_and_said_once_in_a_minute(
    table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 4)
    now = [0.0]
    writer = EventWriter(HALL, clock=lambda: now[0])
    writer.offer(event(0))
    table.busy.wait()
    with caplog.at_level(logging.WARNING):
        for now[0] in (0.0, 59.0, 60.0):
            for second in range(4):
                writer.offer(event(second))
    assert [record.getMessage().split()[0] for record in caplog.records] == ["1", "5"]
    assert table.lost == 9
    table.open.set()
    writer.close()
    assert len(table.written) == 4


def test_what_is_too_heavy_is_lost_and_who_may_wait_does(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_OCTETS", 2_500)
    writer = EventWriter(HALL)
    for name in ("a", "b" * 99_999, "c", "d", "e"):  # 602 octets each; the second is cut, and weighs 1,110
        writer.offer(event(0, name))
    assert table.lost == 1
    table.open.set()
    writer.put(event(0, "f"))
    writer.close()
    assert [name[:1] for name in table.clients] == ["a", "b", "c", "d", "f"]


def test_many_brokers_fill_no_more_memory_than_there_is_for_all(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokers.listen.intake.MOST_OCTETS", 1_500)
    intake = Intake()
    for number in range(5):  # 602 octets or more each
        intake.take(BrokerId(uuid4()), [event(number, str(number))])
    assert table.lost == 2
    table.open.set()
    intake.close()
    assert sorted(table.clients) == ["0", "1", "2"]


@pytest.mark.parametrize("fault", [OperationalError("away"), InterfaceError("closed")])
def test_what_comes_while_the_database_is_away_is_written_once_it_is_back(
    table: Table, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    table.open.set()
    table.fault = fault
    writer = EventWriter(HALL)
    with caplog.at_level(logging.INFO):
        for number in range(1_200):
            writer.put(event(number, str(number)))
        assert not writer.settle(seconds=0.01)
        wait_until(lambda: table.tries > 3, what="it tries again")
        writer.close()  # which does not wait for it
        assert table.written == []
        table.fault = None
        assert writer.settle(seconds=60)
    assert table.clients == [str(number) for number in range(1_200)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"], "each said once"


def test_what_waited_for_too_long_is_lost(table: Table) -> None:
    table.open.set()
    table.fault = OperationalError("away")
    now = [0.0]
    writer = EventWriter(HALL, clock=lambda: now[0])
    writer.put(event(0, "old"))
    wait_until(lambda: table.tries > 1, what="it tries")
    now[0] = writing.LONGEST_SECONDS
    writer.put(event(1, "new"))
    wait_until(lambda: table.lost == 1, what="the old one is given up")
    tries = table.tries
    wait_until(lambda: table.tries > tries, what="the new one is tried")
    writer.put(replace(event(2, "of a file"), place=LogPlace(file="f", offset=1)))
    now[0] *= 3
    wait_until(lambda: table.lost == 2, what="the new one is given up as well")
    table.fault = None
    assert writer.settle(seconds=60)
    writer.close()
    assert table.clients == ["of a file"]


def test_what_can_never_be_written_holds_nothing_up(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing.log, "exception", lambda *_: None)
    table.open.set()
    table.fault = ValueError("no such thing")
    writer = EventWriter(HALL)
    writer.put(event(0, "bad"))
    assert writer.settle(seconds=60)
    table.fault = None
    writer.put(event(1, "good"))
    writer.close()
    assert (table.clients, table.lost) == (["good"], 1)


def test_what_comes_one_by_one_is_written_together(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write of a few takes as many statements as one of hundreds."""
    monkeypatch.setattr(writing, "_GATHERING_SECONDS", 60)
    table.open.set()
    writer = writing.EventWriter(HALL, by_time=True)
    for second in (3, 1, 2):
        writer.offer(event(second, f"c-{second}"))
    assert not table.busy.wait(0.2)
    writer.close()
    assert (table.tries, table.clients) == (1, ["c-1", "c-2", "c-3"])
