"""Whoever ends sessions through an API of its own does not wait for it again and again."""

from __future__ import annotations

import pytest

from brokers.adapters.json_api import RequestRefused
from brokers.adapters.session_ends import SessionEnds
from brokers.core.ports import BrokerUnreachable, SessionNotClosed
from kernel.core.errors import DomainError


@pytest.mark.parametrize(("seconds", "asked"), [(0.1, ["a", "b", "c"]), (10.0, ["a"])])
@pytest.mark.parametrize("fault", [BrokerUnreachable("It is down."), RequestRefused("It would not.")])
def test_api_that_is_silent_is_asked_once(
    seconds: float, asked: list[str], fault: DomainError, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("brokers.adapters.session_ends.time.monotonic", lambda: now)
    told: list[str] = []

    def end(client_id: str) -> int:
        nonlocal now
        told.append(client_id)
        now += seconds
        raise fault

    ends = SessionEnds(end)
    for client_id in "abc":
        with pytest.raises(SessionNotClosed, match="could not be ended, and goes on: It "):
            ends.end(client_id)
    assert told == asked


def test_slow_api_that_ends_sessions_goes_on_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100, 5))
    monkeypatch.setattr("brokers.adapters.session_ends.time.monotonic", lambda: next(now))
    ends = SessionEnds(len)
    assert [ends.end("a"), ends.end("bb")] == [1, 2]
