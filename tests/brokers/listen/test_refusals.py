"""How often refusals are written down."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from brokers.core.callout import CalloutRequest
from brokers.core.values import BrokerId
from brokers.listen import refusals
from brokers.listen.refusals import RefusalLog
from brokers.services.admission import Refusal
from kernel.core.ids import new_id
from tests.servers import wait_until

BROKER = BrokerId(new_id())
REVOKED = Refusal(why="It is revoked.", auth_id="pump-1")


def request(client_id: str = "pump-1", address: str = "192.0.2.7") -> CalloutRequest:
    return CalloutRequest(
        server_id="N", user_nkey="U", kind="mqtt", client_id=client_id, username="", address=address, chain=()
    )


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(refusals, "note_refused", lambda **line: written.append(line))
    monkeypatch.setattr(refusals, "close_old_connections", lambda: None)
    return written


def test_refusal_is_written_with_what_is_known(written: list[dict[str, Any]]) -> None:
    log = RefusalLog()
    log.note(BROKER, request(client_id="victim"), REVOKED)
    wait_until(lambda: len(written) == 1, what="a line")
    log.close()
    line = written[0]
    assert (line["broker"], line["auth_id"], line["client_id"]) == (BROKER, "pump-1", "victim")
    assert (line["address"], line["detail"]) == ("192.0.2.7", "It is revoked.")


def test_repetition_is_counted(written: list[dict[str, Any]]) -> None:
    clock = Clock()
    log = RefusalLog(clock=clock)
    for _ in range(500):
        log.note(BROKER, request(), REVOKED)
    clock.seconds += refusals.QUIET_SECONDS
    log.note(BROKER, request(), REVOKED)
    wait_until(lambda: len(written) == 2, what="two lines")
    log.close()
    assert [line["detail"] for line in written] == ["It is revoked.", "It is revoked. (499 times more before.)"]


def test_another_client_id_does_not_escape_the_count(written: list[dict[str, Any]]) -> None:
    """It is free to choose, so a refused device may give another each time."""
    log = RefusalLog()
    for number in range(100):
        log.note(BROKER, request(client_id=f"guess-{number}"), REVOKED)
    log.note(BROKER, request(address="192.0.2.8"), REVOKED)
    wait_until(lambda: len(written) == 2, what="two lines")
    log.close()
    assert [line["address"] for line in written] == ["192.0.2.7", "192.0.2.8"]


def test_what_can_not_be_written_is_bounded_and_forgotten(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on, tried = threading.Event(), []

    def fail(**line: Any) -> None:
        go_on.wait(90)
        tried.append(line)
        raise RuntimeError("the database is away")

    monkeypatch.setattr(refusals, "note_refused", fail)
    monkeypatch.setattr(refusals, "close_old_connections", lambda: None)
    monkeypatch.setattr(refusals, "MOST_WAITING", 10)
    log = RefusalLog()
    for number in range(50):
        log.note(BROKER, request(address=f"192.0.2.{number}"), REVOKED)
    go_on.set()
    wait_until(lambda: len(tried) == 10, what="ten attempts")
    log.close()
    assert "too many are waiting" in caplog.text


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, written: list[dict[str, Any]]) -> None:
    monkeypatch.setattr(refusals, "MOST_KEYS", 5)
    log = RefusalLog()
    for number in range(50):
        log.note(BROKER, request(address=f"192.0.2.{number}"), REVOKED)
    log.close()
    assert len(log._written) <= 5
