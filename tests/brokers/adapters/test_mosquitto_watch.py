"""What a real Mosquitto logs, also of clients that choose their names to look like something else."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from brokers.adapters.mosquitto_watch import watch
from brokers.core.mosquitto.conf import CLIENT_CA_FILE
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AccessKind, BrokerEvent
from tests.brokers.hearing import events_in
from tests.brokers.mosquitto import LiveMosquitto
from tests.servers import free_port, is_open, program, wait_until

pytestmark = pytest.mark.e2e

CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous true
log_dest topic
log_type subscribe
log_type error
log_type notice
connection_messages true
sys_interval 1
persistence false
"""


class Hall:
    """A Mosquitto that lets everybody in under any name, and who listens to it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        path = folder / "mosquitto.conf"
        user = "user root\n" if os.getuid() == 0 else ""
        path.write_text(CONFIGURATION.format(port=self.port) + user)
        self._process = subprocess.Popen(
            [program("mosquitto"), "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: is_open(self.port), what="Mosquitto is up")
        self.seen: list[BrokerEvent] = []
        self.settled = 0
        self._stop = Event()
        self._thread = Thread(target=self._listen)
        self._thread.start()
        wait_until(lambda: any(event.kind is AccessKind.STARTED for event in self.seen), what="it is listened to")

    def close(self) -> None:
        self._stop.set()
        self._thread.join(90)
        self._process.terminate()
        self._process.wait(90)

    def _listen(self) -> None:
        connection = MosquittoConnection(
            host="127.0.0.1", port=self.port, username="gatehouse", password="pw", ca_pem="", directory=None
        )
        with suppress(BrokerUnreachable):
            for event in events_in(watch(connection, self._stop)):
                self.seen.append(event)

    def enter(self, client_id: str, *, username: str | None = None, seconds: int = 60) -> socket.socket:
        """A connection that has sent CONNECT (MQTT 3.1.1 3.1) and has its answer, or was closed."""
        wire = socket.create_connection(("127.0.0.1", self.port), timeout=90)
        flags = 2 | (0x80 if username is not None else 0)
        names = _text(client_id) + (_text(username) if username is not None else b"")
        wire.sendall(_packet(0x10, _text("MQTT") + bytes([4, flags]) + struct.pack(">H", seconds) + names))
        wire.recv(4)
        return wire

    def subscribe(self, wire: socket.socket, filter: str, qos: int) -> None:
        wire.sendall(_packet(0x82, b"\0\1" + _text(filter) + bytes([qos])))
        wire.recv(5)

    def told(self, client_id: str, kind: AccessKind) -> list[BrokerEvent]:
        return [event for event in self.seen if (event.client_id, event.kind) == (client_id, kind)]

    def settle(self) -> None:
        """Returns when all that was done before is told."""
        self.settled += 1
        name = f"last-{self.settled}"
        self.enter(name).close()
        wait_until(lambda: bool(self.told(name, AccessKind.DISCONNECTED)), what="the last one is told")


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 16_384
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return bytes([kind]) + length + body


@pytest.fixture(scope="module")
def open_hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    hall = Hall(tmp_path_factory.mktemp("hall"))
    yield hall
    hall.close()


@pytest.fixture
def hall(open_hall: Hall) -> Hall:
    """The same for all tests, and nothing seen yet."""
    open_hall.settle()
    open_hall.seen.clear()
    return open_hall


def test_each_end_has_its_reason(hall: Hall) -> None:
    silent = hall.enter("silent", seconds=1)
    leaving = hall.enter("leaving")
    leaving.sendall(b"\xe0\0")
    hall.enter("lost").close()
    first, second = hall.enter("twin"), hall.enter("twin")
    faulty = hall.enter("faulty")
    faulty.sendall(b"\xf0\0")
    hall.settle()
    wait_until(lambda: bool(hall.told("silent", AccessKind.DISCONNECTED)), what="the silent one is closed")
    ends = {event.client_id: event.reason for event in hall.seen if event.kind is AccessKind.DISCONNECTED}
    assert {name: ends[name] for name in ("silent", "leaving", "lost", "twin", "faulty")} == {
        "silent": "keepalive-exceeded",
        "leaving": "disconnected",
        "lost": "connection-lost",
        "twin": "taken-over",
        "faulty": "protocol-error",
    }
    order = [event.kind for event in hall.seen if event.client_id == "twin"]
    assert order == [AccessKind.CONNECTED, AccessKind.DISCONNECTED, AccessKind.CONNECTED]
    for wire in (silent, leaving, first, second, faulty):
        wire.close()


def test_subscription_is_told_with_its_filter(hall: Hall) -> None:
    pump = hall.enter("pump-1")
    hall.subscribe(pump, "$share/g/north/all the/#", 1)
    hall.settle()
    [told] = hall.told("pump-1", AccessKind.ALLOWED)
    assert (told.action, told.qos, told.topic) == ("subscribe", 1, "$share/g/north/all the/#")
    pump.close()


@pytest.mark.parametrize(
    "forged",
    [
        "evil as victim (p2, c1, k60, u'victim').",
        "victim disconnected",
        "victim disconnected.",
        "victim closed its connection.",
        "victim already connected, closing old connection.",
        "victim has exceeded timeout, disconnecting",
        "victim disconnected due to protocol error",
        "victim been disconnected by administrative action. disconnected, not authorised",
        "<unknown> disconnected, not authorised",
        "victim 0 secret/# ",
        "victim 0",
        "victim\N{LINE SEPARATOR}Client victim disconnected.",
        "2026-11-21T03:20:25: Client victim disconnected.",
        "victim' (p2, c1, k60).",
    ],
)
def test_name_that_looks_like_a_line_says_nothing_of_others(hall: Hall, forged: str) -> None:
    victim = hall.enter("victim", username="victim")
    wire = hall.enter(forged, username="evil")
    hall.subscribe(wire, "t", 0)
    wire.sendall(b"\xe0\0")
    hall.settle()
    assert [event.kind for event in hall.seen if event.client_id == "victim"] == [AccessKind.CONNECTED]
    assert [event.client_id for event in hall.seen if event.auth_id == "victim"] == ["victim"]
    who = "" if "u'" in forged else "evil"  # or somebody whose name begins with: victim').
    assert [event.auth_id for event in hall.told(forged, AccessKind.CONNECTED)] == [who]
    wire.close()
    victim.close()


def test_username_that_looks_like_the_end_of_a_line_is_nobodys(hall: Hall) -> None:
    hall.enter("x", username="a') (p5, c1, k60, u'victim").close()
    hall.settle()
    assert [event for event in hall.seen if event.auth_id == "victim"] == []


@pytest.mark.parametrize("control", ["\n", "\r\nNew client connected from 192.0.2.1:1 as x (p2, c1, k60).", "\x7f"])
def test_name_with_a_control_character_does_not_get_in(hall: Hall, control: str) -> None:
    hall.enter(f"evil{control}").close()
    hall.settle()
    assert [event.kind for event in hall.seen if "evil" in event.client_id] == []


def test_client_that_is_named_like_our_own_is_told_all_the_same(hall: Hall) -> None:
    hall.enter("gatehouse-watch-mine", username="evil").close()
    hall.settle()
    assert [event.kind for event in hall.seen if event.client_id == "gatehouse-watch-mine"] == [
        AccessKind.CONNECTED,
        AccessKind.DISCONNECTED,
    ]


def test_line_that_would_fill_the_memory_is_left_out(hall: Hall) -> None:
    hall.enter("x" * 9_000).close()
    hall.settle()
    assert not [event for event in hall.seen if event.client_id.startswith("x")]


def test_who_shows_no_good_certificate_is_refused_for_that(bare_mosquitto: LiveMosquitto) -> None:
    seen: list[BrokerEvent] = []
    stop = Event()
    connection = MosquittoConnection.of(bare_mosquitto.connection)
    thread = Thread(target=lambda: seen.extend(events_in(watch(connection, stop))))
    thread.start()
    wait_until(lambda: bool(seen), what="it is listened to")
    context = ssl.create_default_context(cafile=bare_mosquitto.folder / CLIENT_CA_FILE)
    with (
        socket.create_connection(("127.0.0.1", bare_mosquitto.device_port), timeout=90) as wire,
        suppress(OSError),
        context.wrap_socket(wire, server_hostname="127.0.0.1") as knocking,
    ):
        knocking.recv(1)
    wait_until(lambda: any(event.kind is AccessKind.REFUSED for event in seen), what="the refusal is told")
    stop.set()
    thread.join(90)
    [refused] = [event for event in seen if event.kind is AccessKind.REFUSED]
    assert (refused.reason, refused.action, refused.client_id) == ("bad-certificate", "connect", "")
