"""Why connections end, as a real server tells."""

from __future__ import annotations

from threading import Event

import pytest

from brokers.adapters.nats import NatsAdapter
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.nats.events import reason_of
from brokers.core.values import AccessKind, BrokerEvent
from tests.brokers.nats.conftest import Open
from tests.brokers.nats.server import Doorman
from tests.brokers.nats.test_adapter import adapter, doorman, principal, watched
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
__all__ = ["adapter", "doorman"]


def ends(seen: list[BrokerEvent | None]) -> dict[str, AccessReason | None]:
    return {event.client_id: event.reason for event in seen if event and event.kind is AccessKind.DISCONNECTED}


def test_ends_are_told_with_their_reasons(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    stop = Event()
    thread, seen = watched(adapter, stop)
    assert device("kicked").connect()
    adapter.disconnect(principal("kicked"))
    leaving = device("leaving")
    assert leaving.connect()
    leaving.close()
    assert device("twin").connect()
    assert device("twin").connect()
    wait_until(lambda: ends(seen).keys() >= {"kicked", "leaving", "twin"}, what="all ends")
    stop.set()
    thread.join(90)
    assert {event.action for event in seen if event} == {AccessAction.CONNECT}
    assert ends(seen) == {
        "kicked": AccessReason.BY_ADMINISTRATOR,
        "leaving": AccessReason.CLIENT_CLOSED,
        "twin": AccessReason.TAKEN_OVER,
    }


def test_end_that_nobody_knows_has_no_reason() -> None:
    assert reason_of("Something New") is None
