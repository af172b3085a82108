"""Lines as Mosquitto 2.0.11 wrote them (reference: a broker's own log), and lines that a client id forges."""

from __future__ import annotations

from datetime import timedelta

import pytest

from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.mosquitto.log import LogReader, changed_by, uptime_seconds
from brokers.core.values import AccessKind, BrokerEvent
from tests.cast import NOW

AT = "2026-11-21T03:20:25: "
NOT_ALLOWED = "not allowed feature (QoS too high, retain not supported, or bad AUTH method)"


def read(*lines: str) -> BrokerEvent | None:
    reader = LogReader()
    found = None
    for line in lines:
        found = reader.read(AT + line, at=NOW)
    return found


def test_connection_tells_client_user_and_address() -> None:
    found = read("New client connected from 127.0.0.1:40392 as obs1 (p5, c1, k60, u'dev-0001').")
    assert found == BrokerEvent(
        at=NOW,
        kind=AccessKind.CONNECTED,
        action=AccessAction.CONNECT,
        auth_id="dev-0001",
        client_id="obs1",
        address="127.0.0.1",
    )


def test_connection_without_a_username() -> None:
    found = read("New client connected from ::1:40392 as obs1 (p2, c1, k60).")
    assert found is not None
    assert (found.auth_id, found.client_id, found.address) == ("", "obs1", "::1")


def test_forged_client_id_is_read_from_the_right() -> None:
    forged = "evil as dev-0001 (p5, c1, k60)."
    found = read(f"New client connected from 10.0.0.9:1 as {forged} (p5, c1, k60, u'evil').")
    assert found is not None
    assert (found.auth_id, found.client_id) == ("evil", forged)


@pytest.mark.parametrize(
    ("client", "username"),
    [
        ("x", "a') (p5, c1, k60, u'pump-1"),  # read from the right it is pump-1
        ("x (p2, c1, k60, u'a')", "pump-1"),  # which this one is
        ("evil as pump-1 (p5, c1, k60, u'pump-1').", "evil"),
    ],
)
def test_line_that_two_may_have_written_is_nobodys(client: str, username: str) -> None:
    found = read(f"New client connected from 9.9.9.9:1 as {client} (p2, c1, k60, u'{username}').")
    assert found is not None
    assert (found.auth_id, found.address) == ("", "9.9.9.9")


def test_name_that_is_client_id_and_username_is_told_whatever_stands_in_it() -> None:
    name = "a') (p5, c1, k60, u'pump-1"
    found = read(f"New client connected from 9.9.9.9:1 as {name} (p2, c1, k60, u'{name}').")
    assert found is not None
    assert (found.auth_id, found.client_id) == (name, name)


def test_name_with_a_quotation_mark_is_believed_only_where_both_are_the_same() -> None:
    found = read("New client connected from 10.0.0.9:1 as joe's pump (p5, c1, k60, u'joe's pump').")
    assert found is not None
    assert found.auth_id == "joe's pump"
    assert read("New client connected from 10.0.0.9:1 as x (p5, c1, k60, u'a'b').") is None


@pytest.mark.parametrize(
    ("line", "client", "reason"),
    [
        ("Client obs1 disconnected.", "obs1", "disconnected"),
        ("Client obs2 closed its connection.", "obs2", "connection-lost"),
        ("Client ka has exceeded timeout, disconnecting.", "ka", "keepalive-exceeded"),
        ("Client pwc been disconnected by administrative action.", "pwc", "by-administrator"),
        ("Client p-1 disconnected: Protocol error.", "p-1", "protocol-error"),
        ("Client p-1 disconnected due to protocol error.", "p-1", "protocol-error"),
        # from the source of 2.0: what the tests' broker is not made to say
        (f"Client p-1 disconnected due to using {NOT_ALLOWED}.", "p-1", "protocol-error"),
        ("Client p-1 disconnected: Connection reset by peer.", "p-1", "connection-lost"),
        ("Client p-1 disconnected: Input/output error.", "p-1", "connection-lost"),
        ("Bad socket read/write on client p-1: Quota exceeded", "p-1", "connection-lost"),
        ("Bad socket read/write on client p-1: A TLS error occurred.", "p-1", "connection-lost"),
        ("Bad socket read/write on client victim: No memory: Bad input", "victim: No memory", "connection-lost"),
        ("Bad socket read/write on client x: Client victim disconnected.", "x", "connection-lost"),
        ("Client victim closed its connection. disconnected.", "victim closed its connection.", "disconnected"),
        ("Client victim disconnected due to x disconnected.", "victim disconnected due to x", "disconnected"),
        ("Client victim disconnected: X. closed its connection.", "victim disconnected: X.", "connection-lost"),
    ],
)
def test_end_of_a_connection(line: str, client: str, reason: str) -> None:
    found = read(line)
    assert found is not None
    assert (found.kind, found.client_id, found.reason) == (AccessKind.DISCONNECTED, client, reason)


def test_connection_that_a_later_one_ended() -> None:
    found = LogReader().read_error(f"{AT}Client twin already connected, closing old connection.", at=NOW)
    assert found is not None
    assert (found.kind, found.client_id, found.reason) == (AccessKind.DISCONNECTED, "twin", AccessReason.TAKEN_OVER)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Client <unknown> disconnected, not authorised.", "not-authorised"),
        ("Client <unknown> disconnected: Protocol error.", "protocol-error"),
    ],
)
def test_refusal_has_the_address_of_the_connection_before(line: str, reason: str) -> None:
    found = read("New connection from 192.0.2.7:40392 on port 28883.", line)
    assert found is not None
    assert (found.kind, found.client_id, found.address) == (AccessKind.REFUSED, "", "192.0.2.7")
    assert found.reason == reason


def test_certificate_that_is_not_good_is_the_reason_of_the_next_refusal_alone() -> None:
    reader = LogReader()
    fault = "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed"
    assert reader.read_error(AT + fault, at=NOW) is None
    refused = [reader.read(f"{AT}Client <unknown> disconnected: Protocol error.", at=NOW) for _ in range(2)]
    assert [found and found.reason for found in refused] == [AccessReason.BAD_CERTIFICATE, AccessReason.PROTOCOL_ERROR]


def test_address_is_not_told_where_it_may_be_anothers() -> None:
    two = ["New connection from 192.0.2.7:1 on port 28883.", "New connection from 192.0.2.8:2 on port 28883."]
    refusal = "Client <unknown> disconnected, not authorised."
    found = read(*two, refusal)
    assert found is not None
    assert found.address == ""
    came_in = "New client connected from 192.0.2.7:1 as p-1 (p2, c1, k60)."
    found = read(*two, came_in, refusal)
    assert found is not None
    assert found.address == "192.0.2.8"


def test_address_is_not_told_as_long_as_another_may_be_waiting() -> None:
    reader = LogReader()
    told = []
    for seconds, line in (
        (0, "New connection from 192.0.2.7:1 on port 28883."),
        (0, "New connection from 192.0.2.8:2 on port 28883."),
        (1, "Client <unknown> disconnected, not authorised."),
        (2, "New connection from 192.0.2.9:3 on port 28883."),
        (3, "Client <unknown> disconnected, not authorised."),  # of 8 or 7, and not of 9
        (100, "New connection from 192.0.2.9:4 on port 28883."),
        (101, "Client <unknown> disconnected, not authorised."),
    ):
        found = reader.read(AT + line, at=NOW + timedelta(seconds=seconds))
        told += [found.address] if found else []
    assert told == ["", "", "192.0.2.9"]


def knocked(at: str) -> LogReader:
    """A reader that has read a line with that time."""
    reader = LogReader()
    assert reader.read(f"{at}New connection from 192.0.2.7:40392 on port 28883.", at=NOW) is None
    return reader


@pytest.mark.parametrize("time", [AT, "1795286282: ", ""])
def test_subscription_tells_client_qos_and_filter(time: str) -> None:
    found = knocked(time).read_subscribe(f"{time}obs1 2 $share/g/a b/#", at=NOW)
    assert found == BrokerEvent(
        at=NOW,
        kind=AccessKind.ALLOWED,
        action=AccessAction.SUBSCRIBE,
        client_id="obs1",
        qos=2,
        topic="$share/g/a b/#",
    )


@pytest.mark.parametrize("line", ["victim 0 secret/# 0 t", "victim 0 0 t", "obs1 0 x/y z 1 w", "obs1 3 t", ""])
def test_subscription_that_can_be_read_in_two_ways_is_not_believed(line: str) -> None:
    assert knocked(AT).read_subscribe(AT + line, at=NOW) is None


def test_client_id_that_begins_like_a_time_is_not_taken_for_one() -> None:
    assert LogReader().read_subscribe(f"{AT}victim 0 t", at=NOW) is None
    found = knocked("").read_subscribe(f"{AT}victim 0 t", at=NOW)
    assert found is not None
    assert found.client_id == f"{AT}victim"


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


@pytest.mark.parametrize(
    ("line", "who"),
    [
        ("dynsec: ctl/admin | disableClient | username=pwuser", "ctl/admin"),
        ("dynsec: ctl/admin | addClientRole | username=x | rolename=get | priority=-1", "ctl/admin"),
        ("dynsec: x | getClient/admin | deleteClient | username=p-1", "x"),
        ("dynsec: x | y/admin | getClient | username=p-1", "x"),  # rather a check too many
        ("dynsec: ctl/admin | getClient | username=setClientId | x", None),
        ("dynsec: ctl/admin | listRoles | verbose=true | count=-1 | offset=0", None),
        ("Config loaded from x dynsec: ctl/admin | deleteClient", None),
    ],
)
def test_who_changes_something_by_the_plugin(line: str, who: str | None) -> None:
    assert changed_by(AT + line) == changed_by(line) == who
