"""Brokers whose version is not the one that the adapter speaks to: a stand-in, since no other Mosquitto is at hand.

Packets are those of MQTT 5.0, chapters 2 and 3; paho reads and writes the other side of them.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from brokers.adapters import mosquitto_control
from brokers.adapters.mosquitto_control import RESPONSES, VERSION
from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter
from brokers.core.ports import BrokerUnreachable, DesiredState
from brokers.core.values import AdapterKind
from tests.brokers.links import broker_link
from tests.brokers.subjects import UP, subject

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 1, 3, 8, 12
NOTHING: dict[str, dict[str, Any]] = {
    "getDefaultACLAccess": {"acls": []},
    "getAnonymousGroup": {"group": {"groupname": ""}},
    "listClients": {"totalCount": 0, "clients": []},
    "listRoles": {"totalCount": 0, "roles": []},
}


def packet(first: int, body: bytes) -> bytes:
    """A packet with the length in front, seven bits an octet."""
    octets, left = bytearray([first]), len(body)
    while left > 127:
        octets.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*octets, left]) + body


def publication(topic: str, payload: bytes) -> bytes:
    """A PUBLISH with QoS 0, which has no packet id, and no properties."""
    return packet(PUBLISH << 4, len(topic).to_bytes(2) + topic.encode() + b"\x00" + payload)


def packets(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Kind and body of what the client sends."""
    while first := stream.read(1):
        length, shift = 0, 0
        while True:
            octet = stream.read(1)[0]
            length |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                break
        yield first[0] >> 4, stream.read(length)


@contextmanager
def broker_of(version: str, *, has_plugin: bool) -> Iterator[MosquittoDynsecAdapter]:
    """An adapter for a broker that says so, holds nothing, and has the plugin or not."""

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for kind, body in packets(self.rfile):  # type: ignore[arg-type]
                if kind == CONNECT:
                    self.wfile.write(packet(0x20, b"\x00\x00\x00"))
                elif kind == SUBSCRIBE:
                    self.wfile.write(publication(VERSION, version.encode()) + packet(0x90, body[:2] + b"\x00\x01\x00"))
                elif kind == PINGREQ:
                    self.wfile.write(packet(0xD0, b""))
                elif kind == PUBLISH:
                    self._answer(body)

        def _answer(self, body: bytes) -> None:
            place = 2 + int.from_bytes(body[:2])
            self.wfile.write(packet(0x40, body[place : place + 2]))
            asked = json.loads(body[place + 3 :])["commands"]
            told = [
                {**{name: each[name] for name in ("command", "correlationData")}, "data": NOTHING[each["command"]]}
                for each in asked
            ]
            if has_plugin:
                self.wfile.write(publication(RESPONSES, json.dumps({"responses": told}).encode()))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        port = server.server_address[1]
        connection = {"host": "127.0.0.1", "port": port, "username": "gatehouse", "password": "secret"}
        try:
            yield MosquittoDynsecAdapter(link=broker_link(AdapterKind.MOSQUITTO_DYNSEC, connection))
        finally:
            server.shutdown()
            thread.join()


def test_broker_that_is_too_old_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto_control, "_ANSWER_SECONDS", 0.2)  # no answer ever comes
    with (
        broker_of("mosquitto version 1.6.15", has_plugin=False) as adapter,
        pytest.raises(BrokerUnreachable, match=r"Mosquitto 1\.6\.15 has no dynamic security: take 2.0 or newer"),
    ):
        adapter.read()


@pytest.mark.parametrize(
    ("said", "version", "warned"),
    [
        ("mosquitto version 2.0.18", "2.0.18", False),
        ("mosquitto version 2.1.2", "2.1.2", True),
        ("Quirky\x00 MQ", "Quirky MQ", True),
    ],
)
def test_broker_of_another_version_is_planned_for_with_a_warning(said: str, version: str, warned: bool) -> None:
    desired = DesiredState(subjects=(subject("p-1", UP),))
    with broker_of(said, has_plugin=True) as adapter:
        applied = adapter.read()
    assert applied.version == version
    assert any(step.kind == "createClient" for step in adapter.plan(desired, applied))
    warnings = adapter.effect(desired, applied).warnings
    assert [version in each for each in warnings] == ([True] if warned else [])
