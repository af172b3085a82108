"""Management APIs that answer what nobody expects: whatever comes ends in time, in a sentence, without the password."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread

import pytest

from brokers.adapters import json_api
from brokers.adapters.json_api import JsonApi, RequestRefused
from brokers.core.api_path import NoPath, path
from brokers.core.ports import BrokerUnreachable

Answers = Callable[[bytes], JsonApi]


def answer(body: bytes, *, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@pytest.fixture
def answers() -> Iterator[Answers]:
    """An API that answers the first request with these octets, then again and again with the last of them."""
    end, running = Event(), []

    def serve(octets: bytes) -> JsonApi:
        server = socket.create_server(("127.0.0.1", 0))
        thread = Thread(target=_serve, args=(server, octets, end))
        thread.start()
        running.append((server, thread))
        port = server.getsockname()[1]
        return JsonApi(
            of="Hall 7", host="127.0.0.1", port=port, root="/api", rights="Ask.", ca_pem="", username="u", password="pw"
        )

    yield serve
    end.set()
    for server, thread in running:
        thread.join(60)
        assert not thread.is_alive()
        server.close()


def _serve(server: socket.socket, octets: bytes, end: Event) -> None:
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.recv(65_536)
        connection.sendall(octets)
        if octets.endswith(b"\r\n\r\n") or b"chunked" in octets:
            while not end.wait(0.01):
                connection.sendall(octets[-1:])


STRANGE = [
    answer(b"<html>Welcome</html>"),
    answer(b""),
    answer(b"{}", more="Content-Encoding: gzip\r\n").replace(b"{}", b"\x1f\x8b"),
    answer(b"Not here.", status="404 Not Found"),
    answer(b"[" * 100_000),
    b"HTTP/1.0 200 OK\r\n\r\n<html>",
    b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[{"name": ',
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"",
]


@pytest.mark.parametrize("octets", STRANGE)
def test_whoever_is_no_management_api_is_said_to_be_none(answers: Answers, octets: bytes) -> None:
    with (
        pytest.raises(BrokerUnreachable, match=r"Hall 7 at 127\.0\.0\.1:\d+ does not answer") as caught,
        answers(octets) as api,
    ):
        api.get("users")
    assert "pw" not in f"{caught.value.detail}{api!r}"
    assert "SSH" not in caught.value.detail


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b"7", b'"text"'])
def test_answer_of_another_shape_is_no_answer(answers: Answers, body: bytes) -> None:
    with pytest.raises(BrokerUnreachable, match="right port"), answers(answer(body)) as api:
        api.get("overview")[0]["name"].upper()


def test_answer_that_drips_for_ever_ends(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_api, "_SECONDS_IN_ALL", 0.2)
    for octets in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n[",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ):
        with pytest.raises(BrokerUnreachable, match="too slow"), answers(octets) as api:
            api.get("users")


@pytest.mark.parametrize("status", ["301 Moved", "400 Bad Request", "409 Conflict", "429 Too Many"])
def test_refusal_is_one_and_redirects_are_not_followed(answers: Answers, status: str) -> None:
    octets = answer(b'{"reason": "not\\n so"}', status=status, more="Location: http://127.0.0.1:1/\r\n")
    with pytest.raises(RequestRefused, match=r"refused PUT users .*: not so"), answers(octets) as api:
        api.ask("PUT", "users/alpha", {})


@pytest.mark.parametrize("body", [b'{"message": "full"}', b'{"code": "X", "message": "full"}'])
def test_server_that_fails_can_be_asked_again_later(answers: Answers, body: bytes) -> None:
    with pytest.raises(BrokerUnreachable, match=r"503.*full"), answers(answer(body, status="503 Busy")) as api:
        api.ask("PUT", "users/alpha", {})


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_host_that_can_not_be_one_is_said(host: str) -> None:
    api = JsonApi(of="Hall 7", host=host, port=1, root="/api", rights="", ca_pem="", username="", password="")
    with pytest.raises(BrokerUnreachable), api:
        api.get("users")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_steps_in_a_path_are_never_asked_about(name: str) -> None:
    assert path("users", "a/b?c#d %2F..é") == "users/a%2Fb%3Fc%23d%20%252F..%C3%A9"
    with pytest.raises(NoPath):
        path("users", name)
