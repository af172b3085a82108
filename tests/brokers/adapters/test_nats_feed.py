"""What is kept of a NATS server's advisories: nothing that opens a door."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from threading import Event
from typing import Any

import pytest

from brokers.adapters.nats_feed import _Feed, present_event
from brokers.core.nats.connection import NatsConnection
from brokers.core.values import AccessKind, BrokerEvent
from tests.brokers.hearing import events_in

SECRET = "a-password-that-nobody-keeps"
CONNECTION = NatsConnection(
    host="::1", port=1, system_user="ours", system_password="p", callout_user="", callout_password="",
    issuer_seed="", account="FLEET",
)  # fmt: skip

# as 2.9.10 sends them: the password of CONNECT stands in `jwt`, of attempts that fail as well
CLIENT = {
    "start": "2026-11-20T10:00:00.123456789Z",
    "host": "192.0.2.7",
    "id": 9,
    "acc": "FLEET",
    "user": "pump-1",
    "kind": "Client",
    "client_type": "mqtt",
    "client_id": "pump-1",
    "jwt": SECRET,
}


@dataclass
class Message:
    """As much of a message as is read."""

    subject: str
    data: bytes


def heard(subject: str, **more: Any) -> BrokerEvent | None:
    document = {"timestamp": "2026-11-20T10:00:01.5Z", "client": CLIENT, **more}
    message: Any = Message(subject, json.dumps(document).encode())

    feed = _Feed(CONNECTION)
    asyncio.run((feed._take_refusal if subject.endswith(".ERR") else feed._take)(message))
    return next(events_in(feed.events.taken(Event())), None)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("$SYS.ACCOUNT.FLEET.CONNECT", AccessKind.CONNECTED),
        ("$SYS.ACCOUNT.FLEET.DISCONNECT", AccessKind.DISCONNECTED),
        ("$SYS.SERVER.NABC.CLIENT.AUTH.ERR", AccessKind.REFUSED),
    ],
)
def test_password_that_old_servers_tell_of_is_not_kept(subject: str, kind: AccessKind) -> None:
    event = heard(subject, reason="Authentication Failure")
    assert event is not None
    assert (event.kind, event.auth_id, event.address) == (kind, "pump-1", "192.0.2.7")
    assert SECRET not in repr(event)


def test_password_in_the_list_of_connections_is_not_kept() -> None:
    listed = {"cid": 9, "start": CLIENT["start"], "authorized_user": "pump-1", "mqtt_client": "pump-1", "jwt": SECRET}
    assert SECRET not in repr(present_event(listed))
