"""What waits between a connection and its watcher, and what is lost there."""

from __future__ import annotations

from threading import Event

import pytest

from brokers.adapters import inbox
from brokers.adapters.inbox import Inbox
from brokers.core.values import EventsLost


def test_what_is_more_than_can_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_WAITING", 3)
    made: Inbox[str] = Inbox()
    for number in range(5):
        made.put(f"line {number}")
    taken = made.taken(Event())
    assert [next(taken) for _ in range(5)] == [EventsLost(2), "line 0", "line 1", "line 2", None]
    made.put("line 5")
    assert next(taken) == "line 5"


def test_what_was_put_is_taken_before_it_ends() -> None:
    made: Inbox[str] = Inbox()
    made.put("last")
    made.end()
    assert list(made.taken(Event())) == ["last"]


def test_nothing_is_taken_any_more_when_it_is_to_stop() -> None:
    made, stop = Inbox[str](), Event()
    made.put("line")
    stop.set()
    assert list(made.taken(stop)) == []
