"""What brokers tell by webhook: the bodies as their sources write them, and what is not believed of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from brokers.core.access.ingest import Reader, Told, read_told
from brokers.core.access.lines import line_document
from brokers.core.decide.decisions import Asked, Unreadable
from brokers.core.emqx import events as emqx_events
from brokers.core.nanomq import events as nanomq_events
from brokers.core.values import AccessEvent, AccessKind, BrokerEvent
from brokers.core.vernemq import events as vernemq_events

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW_MS = 1_772_366_400_000  # date -u -d 2026-03-01T12:00:00Z +%s
EMQX = {
    "username": "pump-1", "clientid": "pump-1", "peername": "192.0.2.7:51000", "sockname": "10.0.0.1:8883",
    "proto_name": "MQTT", "proto_ver": 5, "node": "emqx@127.0.0.1", "timestamp": NOW_MS - 1_000,
    "client_attrs": {}, "metadata": {"rule_id": "gatehouse"},
}  # fmt: skip
VERNEMQ = {"mountpoint": "", "client_id": "pump-1"}


def told(reader: Reader, body: object, hook: str = "") -> Told:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_told(reader, Asked(body=octets, content_type="application/json", hook=hook), now=NOW)


def emqx(event: str, **members: Any) -> tuple[BrokerEvent, ...]:
    return told(emqx_events.read_event, EMQX | {"event": event} | members).events


def vernemq(hook: str, **members: Any) -> tuple[BrokerEvent, ...]:
    return told(vernemq_events.read_event, VERNEMQ | members, hook).events


def nanomq(action: str, **members: Any) -> tuple[BrokerEvent, ...]:
    return told(nanomq_events.read_event, {"action": action} | members).events


def ungraceful(event: BrokerEvent) -> object:
    line = AccessEvent(
        id=1, at=event.at, broker_name="hall", device=None, auth_id="", client_id="", kind=event.kind, address="",
        detail="", reason=event.reason,
    )  # fmt: skip
    return line_document(line)["ungraceful"]


def test_emqx_tells_who_comes_and_goes_by_the_place_of_the_client() -> None:
    [came] = emqx("client.connected", connected_at=NOW_MS - 2_500, keepalive=60, clean_start=True)
    [went] = emqx("client.disconnected", reason="normal", disconnected_at=NOW_MS - 500)
    assert (came.kind, came.auth_id, came.client_id) == (AccessKind.CONNECTED, "pump-1", "pump-1")
    assert came.at == NOW - timedelta(seconds=2.5)
    assert (went.kind, went.at) == (AccessKind.DISCONNECTED, NOW - timedelta(seconds=0.5))
    assert came.connection_id == went.connection_id == "192.0.2.7 51000"
    assert emqx_events.connection_id("192.0.2.7", 51_000) == came.connection_id  # of the list of clients


def test_emqx_spells_addresses_of_version_6_in_two_ways() -> None:
    [came] = emqx("client.connected", peername="[2001:db8::7]:51000", connected_at=NOW_MS)
    assert came.connection_id == emqx_events.connection_id("2001:db8::7", 51_000)


@pytest.mark.parametrize(
    ("said", "reason", "is_ungraceful"),
    [
        ("normal", "disconnected", False),
        ("disconnect_with_will_message", "disconnected-with-will", True),
        ("kicked", "by-administrator", True),
        ("keepalive_timeout", "keepalive-exceeded", True),
        ("tcp_closed", "connection-lost", True),
        ("ssl_closed", "connection-lost", True),
        ("takenover", "taken-over", True),
        ("discarded", "taken-over", True),
        ("not_authorized", "not-authorised", None),
        ("internal_error", None, None),
        ("something_of_tomorrow", None, None),
    ],
)
def test_emqx_tells_a_disconnect_from_a_lost_connection(said: str, reason: str | None, is_ungraceful: object) -> None:
    [went] = emqx("client.disconnected", reason=said, disconnected_at=NOW_MS)
    assert (went.reason, went.detail) == (reason, said)
    assert ungraceful(went) is is_ungraceful


def test_emqx_tells_of_refusals_and_not_twice_of_who_comes() -> None:
    assert emqx("client.connack", reason_code="success") == ()
    [refused] = emqx("client.connack", reason_code="banned", clientid="", username="undefined")
    assert (refused.kind, refused.reason, refused.auth_id) == (AccessKind.REFUSED, "not-authorised", "")
    [unclear] = emqx("client.connack", reason_code="server_busy")
    assert (unclear.reason, unclear.detail) == (None, "server_busy")


def test_nobody_hides_behind_a_client_id_that_looks_like_none() -> None:
    [came] = emqx("client.connected", clientid="undefined", connected_at=NOW_MS)
    assert came.client_id == "undefined"
    [came] = nanomq("client_connack", conn_ack="success", username="undefined", clientid="undefined")
    assert (came.client_id, came.auth_id) == ("undefined", "")


def test_emqx_tells_what_was_allowed_and_denied() -> None:
    [denied] = emqx("client.check_authz_complete", action="publish", result="deny", topic="a/b", authz_source="http")
    assert (denied.kind, denied.action, denied.topic, denied.reason) == (
        AccessKind.DENIED, "publish", "a/b", "not-allowed",
    )  # fmt: skip
    [allowed] = emqx("client.check_authz_complete", action="subscribe", result="allow", topic="a/#")
    assert (allowed.kind, allowed.action, allowed.reason) == (AccessKind.ALLOWED, "subscribe", None)
    [subscribed] = emqx("session.subscribed", topic="$share/g/a/#", qos=1)
    assert (subscribed.kind, subscribed.topic, subscribed.qos) == (AccessKind.ALLOWED, "$share/g/a/#", 1)


def test_events_that_the_log_has_no_line_for_are_nothing() -> None:
    assert emqx("session.unsubscribed", topic="a") == emqx("message.delivered") == ()
    assert vernemq("on_client_wakeup") == vernemq("on_session_expired") == vernemq("") == ()
    assert nanomq("client_ping") == ()


@pytest.mark.parametrize("told_ms", [NOW_MS + 1, NOW_MS - 600_001, -1, 2**60, 2**48 - 1, "1", True, None, 1.5])
def test_clock_of_a_broker_is_not_believed_when_it_is_wrong(told_ms: object) -> None:
    [came] = emqx("client.connected", connected_at=told_ms)
    assert came.at == NOW


def test_vernemq_tells_who_comes_and_goes_and_what_they_do() -> None:
    [came] = vernemq("on_register_m5", peer_addr="192.0.2.7", peer_port=51_000, username="pump-1")
    assert (came.kind, came.auth_id, came.address, came.at) == (AccessKind.CONNECTED, "pump-1", "192.0.2.7", NOW)
    for hook in ("on_client_offline", "on_client_gone"):
        [went] = vernemq(hook)
        assert (went.kind, went.client_id, ungraceful(went)) == (AccessKind.DISCONNECTED, "pump-1", None)
    [sent] = vernemq("on_publish", username="pump-1", qos=2, topic="a/b", payload="aGk=", retain=False)
    assert (sent.kind, sent.action, sent.topic, sent.qos) == (AccessKind.ALLOWED, "publish", "a/b", 2)


@pytest.mark.parametrize("refused", [128, 135, "not_allowed"])
def test_filter_that_vernemq_refused_is_a_denial(refused: object) -> None:
    topics = [{"topic": "a/#", "qos": 1}, {"topic": "b/#", "qos": refused}]
    first, second = vernemq("on_subscribe", username="pump-1", topics=topics)
    assert (first.kind, first.topic, first.qos) == (AccessKind.ALLOWED, "a/#", 1)
    assert (second.kind, second.topic, second.qos, second.reason) == (AccessKind.DENIED, "b/#", None, "not-allowed")


def test_client_of_another_mountpoint_is_another() -> None:
    assert vernemq("on_client_gone", mountpoint="tenant-2") == ()


def test_nanomq_tells_who_comes_goes_and_publishes() -> None:
    [came] = nanomq("client_connack", conn_ack="success", username="pump-1", clientid="pump-1", proto_ver=4)
    [refused] = nanomq("client_connack", conn_ack="fail", username="undefined", clientid="pump-1")
    assert (came.kind, refused.kind, refused.auth_id) == (AccessKind.CONNECTED, AccessKind.REFUSED, "")
    for said, is_ungraceful in (("normal", False), ("abnormal", True)):
        [went] = nanomq("client_disconnected", reason=said, username="pump-1", clientid="pump-1")
        assert (went.kind, ungraceful(went)) == (AccessKind.DISCONNECTED, is_ungraceful)
    [sent] = nanomq(
        "message_publish", topic="a", qos=0, retain=False, from_username="u", from_client_id="c", payload="", ts=1
    )
    assert (sent.kind, sent.action, sent.topic, sent.auth_id) == (AccessKind.ALLOWED, "publish", "a", "u")


def test_array_is_read_in_its_order_and_what_is_broken_in_it_is_left_out() -> None:
    good = EMQX | {"event": "client.connected", "connected_at": NOW_MS}
    broken = [
        good | {"clientid": 7}, good | {"clientid": ""}, good | {"event": None}, {},
        good | {"event": "client.check_authz_complete", "action": "eat", "result": "allow", "topic": "a"},
        good | {"event": "session.subscribed", "topic": "a", "qos": 3},
    ]  # fmt: skip
    found = told(emqx_events.read_event, [good, *broken, good | {"clientid": "pump-2"}])
    assert [event.client_id for event in found.events] == ["pump-1", "pump-2"]
    assert found.unreadable == len(broken)
    half = told(vernemq_events.read_event, VERNEMQ | {"topics": [{"topic": "a", "qos": 0}, 7]}, "on_subscribe")
    assert (half.events, half.unreadable) == ((), 1)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"7", b"[[]]", b'{"event": "a", "event": "b"}', b'[{"a": 1}, 2]', b"[" * 100_000,
        b"[" + b",".join([b"{}"] * 1_001) + b"]",
    ],
)  # fmt: skip
def test_body_that_is_no_list_of_events_says_nothing(body: bytes) -> None:
    with pytest.raises(Unreadable):
        told(emqx_events.read_event, body)
