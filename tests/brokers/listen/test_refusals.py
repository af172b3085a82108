"""How often refusals are written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from brokers.core.access.reasons import AccessReason
from brokers.core.nats.callout import CalloutRequest
from brokers.core.values import AccessKind, BrokerEvent, BrokerId
from brokers.listen import refusals, writing
from brokers.listen.refusals import RefusalLog
from brokers.services.admission import Refusal
from kernel.core.ids import new_id

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
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[BrokerId, BrokerEvent]]:
    written: list[tuple[BrokerId, BrokerEvent]] = []

    def note(*, broker: BrokerId, events: Sequence[BrokerEvent], **_: Any) -> None:
        written.extend((broker, event) for event in events)

    monkeypatch.setattr(writing, "note_events", note)
    monkeypatch.setattr(writing, "close_old_connections", lambda: None)
    return written


def test_refusal_is_written_with_what_is_known(written: list[tuple[BrokerId, BrokerEvent]]) -> None:
    log = RefusalLog()
    log.note(BROKER, request(client_id="victim"), REVOKED)
    log.close()
    [(broker, event)] = written
    assert (broker, event.kind, event.auth_id, event.client_id) == (BROKER, AccessKind.REFUSED, "pump-1", "victim")
    assert (event.address, event.detail, event.reason) == ("192.0.2.7", "It is revoked.", AccessReason.UNDECIDED)


def test_repetition_is_counted(written: list[tuple[BrokerId, BrokerEvent]]) -> None:
    clock = Clock()
    log = RefusalLog(clock=clock)
    for _ in range(500):
        log.note(BROKER, request(), REVOKED)
    clock.seconds += refusals.QUIET_SECONDS
    log.note(BROKER, request(), REVOKED)
    log.close()
    assert [event.detail for _, event in written] == ["It is revoked.", "It is revoked. (499 times more before.)"]


def test_another_client_id_does_not_escape_the_count(written: list[tuple[BrokerId, BrokerEvent]]) -> None:
    """It is free to choose, so a refused device may give another each time."""
    log = RefusalLog()
    for number in range(100):
        log.note(BROKER, request(client_id=f"guess-{number}"), REVOKED)
    log.note(BROKER, request(address="192.0.2.8"), REVOKED)
    log.close()
    assert [event.address for _, event in written] == ["192.0.2.7", "192.0.2.8"]


def test_who_calls_itself_something_else_each_time_fills_no_table(
    written: list[tuple[BrokerId, BrokerEvent]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_NEW", 3)
    lost: list[int] = []
    monkeypatch.setattr(refusals, "note_lost", lambda *, count, **_: lost.append(count))
    clock, other = Clock(), BrokerId(new_id())
    log = RefusalLog(clock=clock)
    for number in range(5):
        log.note(BROKER, request(address=f"192.0.2.{number}"), REVOKED)
    log.note(other, request(), REVOKED)
    clock.seconds += refusals.QUIET_SECONDS
    log.note(BROKER, request(address="192.0.2.9"), REVOKED)
    log.close()
    assert [event.address[-1] for broker, event in written if broker == BROKER] == ["0", "1", "2", "9"]
    assert (len(written), lost) == (5, [1, 1])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, written: list[tuple[BrokerId, BrokerEvent]]) -> None:
    monkeypatch.setattr(refusals, "MOST_KEYS", 5)
    log = RefusalLog()
    for number in range(50):
        log.note(BROKER, request(address=f"192.0.2.{number}"), REVOKED)
    log.close()
    assert len(log._written) <= 5
