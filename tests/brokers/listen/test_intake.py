"""Writing down what webhooks tell: in the order of time, never waited for, and bounded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest

from brokers.core.values import AccessKind, BrokerEvent, BrokerId
from brokers.listen import intake as module
from brokers.listen import writing
from brokers.listen.intake import Intake
from tests.cast import NOW

HALL = BrokerId(uuid4())


def event(second: int, client: str = "pump-1") -> BrokerEvent:
    return BrokerEvent(at=NOW + timedelta(seconds=second), kind=AccessKind.CONNECTED, client_id=client)


class Table:
    """In place of the database: it takes nothing until it is opened."""

    def __init__(self) -> None:
        self.open, self.busy = Event(), Event()
        self.written: list[tuple[BrokerId, BrokerEvent]] = []

    def note(self, *, broker: BrokerId, events: Sequence[BrokerEvent]) -> None:
        """Takes them."""
        self.busy.set()
        self.open.wait()
        self.written += [(broker, event) for event in events]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    made = Table()
    monkeypatch.setattr(writing, "note_events", made.note)
    monkeypatch.setattr(writing, "close_old_connections", lambda: None)
    return made


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


def test_what_is_too_much_is_lost_and_said_once_in_a_minute(
    table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 3)
    monkeypatch.setattr(module.log, "propagate", True)
    now = [0.0]
    intake = Intake(clock=lambda: now[0])
    intake.take(HALL, [event(0)])
    table.busy.wait()
    with caplog.at_level(logging.WARNING):
        for now[0] in (0.0, 59.0, 60.0):
            intake.take(HALL, [event(1), event(2), event(3), event(4)])
    assert [record.getMessage().split()[0] for record in caplog.records] == ["1", "4"]
    table.open.set()
    intake.close()
    assert len(table.written) == 4
