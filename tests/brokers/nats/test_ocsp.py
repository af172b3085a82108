"""OCSP about devices, at a real server with the listeners that a profile renders; openssl answers."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from pytest_django import Settings

from brokers.core.listeners.profile import ListenerProfile, Make
from brokers.core.listeners.renderers import render_listeners
from brokers.core.listeners.rendering import Site
from brokers.core.ports import Standing
from brokers.core.values import Listener, Transport
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.conftest import OpensslCa
from tests.brokers.nats.hall import Hall
from tests.brokers.subjects import DOWN, UP, subject
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.e2e


class Responder:
    """Answers for the CA as long as it is up."""

    def __init__(self, ca: OpensslCa) -> None:
        self.ca, self.port = ca, free_port()
        self.extension = f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{self.port}/ocsp/"
        self.start()

    def start(self) -> None:
        responder = self

        class Asked(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = responder.answer(base64.b64decode(unquote(self.path.removeprefix("/ocsp/"))))
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Asked)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(90)

    def answer(self, request: bytes) -> bytes:
        """What openssl says, an hour good."""
        folder = self.ca.folder
        known = ("-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-nmin", "60")
        words = ["openssl", "ocsp", *known, "-reqin", "/dev/stdin", "-respout", "/dev/stdout"]
        return subprocess.run(words, cwd=folder, input=request, capture_output=True, check=True, timeout=120).stdout


@pytest.fixture
def responder(openssl_ca: OpensslCa) -> Iterator[Responder]:
    made = Responder(openssl_ca)
    yield made
    made.stop()


@pytest.fixture
def hall(responder: Responder, tmp_path: Path, settings: Settings, openssl_ca: OpensslCa) -> Iterator[Hall]:
    settings.GATEHOUSE_HOME = tmp_path
    made = Hall(tmp_path, openssl_ca, rendered)
    yield made
    made.end()


def rendered(hall: Hall) -> str:
    """The listeners of a profile that asks for OCSP, on loopback."""
    certificate, key = hall.ca.make("broker", "subjectAltName=IP:127.0.0.1")
    for name, path in (("server.pem", certificate), ("server.key", key), ("client-ca.pem", hall.ca.folder / "ca.pem")):
        (hall.ca.folder / name).write_text(path.read_text())
    profile = ListenerProfile(make=Make.NATS, folder=str(hall.ca.folder), check_ocsp=True)
    listeners = (
        Listener(host="127.0.0.1", port=hall.mqtt_port),
        Listener(host="127.0.0.1", port=hall.wss_port, transport=Transport.WSS),
    )
    [file] = render_listeners(profile, Site(listeners=listeners)).files
    return file.text.replace("0.0.0.0", "127.0.0.1")


def upgraded(hall: Hall, name: str) -> bytes:
    """What the listener for WebSocket says to a device first; nothing if it hangs up."""
    context = ssl.create_default_context(cafile=str(hall.ca.folder / "ca.pem"))
    context.load_cert_chain(hall.ca.folder / f"{name}.pem", hall.ca.folder / f"{name}.key")
    asked = (
        "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    try:
        with (
            socket.create_connection(("127.0.0.1", hall.wss_port), timeout=90) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
        ):
            wire.sendall(asked.encode())
            return wire.recv(1000)
    except OSError:
        return b""


def test_whom_openssl_calls_good_gets_in_and_nobody_else(hall: Hall, responder: Responder) -> None:
    adapter, names = hall.adapter, ("good", "late", "revoked", "unsaid")
    for name in names:
        hall.device(name, *(() if name == "unsaid" else (responder.extension,)))
    for name in ("revoked", "unsaid"):
        hall.ca.revoke(name)
    bring_to(adapter, all_of(*(subject(name, UP, DOWN) for name in names)))
    late = hall.enters("late")  # or again: on a busy machine openssl may take longer than NATS waits
    hall.enters("good")
    assert not hall.device("revoked").connect()
    wait_until(lambda: upgraded(hall, "good").startswith(b"HTTP/1.1 101 "), what="it is upgraded")
    assert upgraded(hall, "revoked") == b""
    assert hall.device("unsaid").connect()  # its certificate names no address: a profile that makes such is told

    hall.ca.revoke("late")
    assert not hall.device("late").connect()  # though the answer of a moment ago was good for an hour
    assert late.subscribe("north/late/down/#") == 1  # who is in stays, until it is no user any more
    bring_to(adapter, only(subject("late", standing=Standing.BARRED)))
    assert late.wait_closed()

    responder.stop()
    assert not hall.device("good").connect()
    assert adapter.read().version == "2.15.1"  # Gatehouse is no client of that kind
    responder.start()
    hall.enters("good")
    assert not hall.device("revoked").connect()  # after the reloads as well
