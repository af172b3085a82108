"""Fetching is bounded, and reaches our own public documents alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from console.relying_party import fetching
from console.relying_party.fetching import NotFetchedError, fetch


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/pki/moved":
                self._answer(302, b"", Location="http://127.0.0.1:1/pki/other")
            case "/pki/large":
                self._answer(200, b"x" * 5_000)
            case "/pki/slow":
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):  # the asker goes
                    for _ in range(40):
                        self.wfile.write(b"x")
                        time.sleep(0.05)
            case _:
                self._answer(200, b"found")

    def do_POST(self) -> None:
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_document_comes_with_the_time_it_took(base: str) -> None:
    assert fetch(f"{base}/pki/north/crl", base_url=base).body == b"found"
    answered = fetch(f"{base}/pki/north/ocsp", base_url=base, body=b"asked", content_type="application/ocsp-request")
    assert answered.body == b"asked"
    assert 0 <= answered.elapsed_ms < 4_000


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/pki/x",
        "https://127.0.0.1/pki/x",
        "http://127.0.0.1:1/pki/x",
        "{base}/api/v1/issuers/",
        "{base}/",
        "{base}@evil.example/pki/x",
        "file:///pki/x",
        "//evil.example/pki/x",
        "",
    ],
)
def test_nothing_but_our_own_public_documents_is_asked_for(url: str, base: str) -> None:
    with pytest.raises(NotFetchedError, match="not an address of this installation"):
        fetch(url.format(base=base), base_url=base)


def test_redirect_is_not_followed(base: str) -> None:
    with pytest.raises(NotFetchedError, match="302"):
        fetch(f"{base}/pki/moved", base_url=base)


def test_too_large_and_too_slow_are_given_up(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_OCTETS", 4_999)
    with pytest.raises(NotFetchedError, match="larger"):
        fetch(f"{base}/pki/large", base_url=base)
    monkeypatch.setattr(fetching, "SECONDS", 0.3)
    with pytest.raises(NotFetchedError, match="did not answer within"):
        fetch(f"{base}/pki/slow", base_url=base)


def test_nobody_there_is_said_so() -> None:
    with pytest.raises(NotFetchedError, match="can not be reached from here: Connection refused"):
        fetch("http://127.0.0.1:9/pki/x", base_url="http://127.0.0.1:9")
