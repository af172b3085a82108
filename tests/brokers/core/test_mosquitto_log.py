"""Lines as Mosquitto 2.0.11 wrote them (reference: a broker's own log), and lines that a client id forges."""

from __future__ import annotations

import pytest

from brokers.core.mosquitto_log import LogReader, uptime_seconds
from brokers.core.values import AccessKind, BrokerEvent
from tests.cast import NOW

AT = "2026-11-21T03:20:25: "


def read(*lines: str) -> BrokerEvent | None:
    reader = LogReader()
    found = None
    for line in lines:
        found = reader.read(AT + line, at=NOW)
    return found


def test_connection_tells_client_user_and_address() -> None:
    found = read("New client connected from 127.0.0.1:40392 as obs1 (p5, c1, k60, u'dev-0001').")
    assert found == BrokerEvent(
        at=NOW, kind=AccessKind.CONNECTED, auth_id="dev-0001", client_id="obs1", address="127.0.0.1"
    )


def test_connection_without_a_username() -> None:
    found = read("New client connected from ::1:40392 as obs1 (p2, c1, k60).")
    assert found is not None
    assert (found.auth_id, found.client_id, found.address) == ("", "obs1", "::1")


def test_forged_client_id_is_read_from_the_right() -> None:
    forged = "evil as dev-0001 (p5, c1, k60, u'dev-0001')."
    found = read(f"New client connected from 10.0.0.9:1 as {forged} (p5, c1, k60, u'evil').")
    assert found is not None
    assert (found.auth_id, found.client_id) == ("evil", forged)


def test_name_with_a_quotation_mark_is_believed_only_where_both_are_the_same() -> None:
    found = read("New client connected from 10.0.0.9:1 as joe's pump (p5, c1, k60, u'joe's pump').")
    assert found is not None
    assert found.auth_id == "joe's pump"
    assert read("New client connected from 10.0.0.9:1 as x (p5, c1, k60, u'a'b').") is None


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("Client obs1 disconnected.", "obs1"),
        ("Client obs2 closed its connection.", "obs2"),
        ("Client ka has exceeded timeout, disconnecting.", "ka"),
        ("Client pwc been disconnected by administrative action.", "pwc"),
        ("Client p-1 disconnected: Protocol error.", "p-1"),
        ("Client p-1 disconnected due to protocol error.", "p-1"),
        ("Client victim closed its connection. disconnected.", "victim closed its connection."),
        ("Client victim disconnected due to x disconnected.", "victim disconnected due to x"),
        ("Client victim disconnected: X. closed its connection.", "victim disconnected: X."),
    ],
)
def test_end_of_a_connection(line: str, client: str) -> None:
    found = read(line)
    assert found is not None
    assert (found.kind, found.client_id) == (AccessKind.DISCONNECTED, client)


@pytest.mark.parametrize(
    "line",
    [
        "Client <unknown> disconnected, not authorised.",
        "Client <unknown> disconnected: Protocol error.",
    ],
)
def test_refusal_has_the_address_of_the_connection_before(line: str) -> None:
    found = read("New connection from 192.0.2.7:40392 on port 28883.", line)
    assert found is not None
    assert (found.kind, found.client_id, found.address) == (AccessKind.REFUSED, "", "192.0.2.7")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Client <unknown> closed its connection.",
        "mosquitto version 2.0.11 running",
        "Client",
        "Client  ",
        "New client connected",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert read(line) is None


def test_uptime() -> None:
    assert uptime_seconds("123 seconds") == 123
    assert uptime_seconds("soon") is None
