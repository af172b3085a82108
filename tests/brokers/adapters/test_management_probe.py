"""A question over HTTP, against whatever may stand at the other end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest

from brokers.adapters.management_probe import ask
from brokers.core.listeners.management import ManagementPlace, Question
from brokers.core.listeners.probe import Aspect
from tests.brokers.conftest import new_openssl_ca
from tests.servers import free_port

QUESTION = Question(
    aspect=Aspect.MANAGEMENT, request=b"GET / HTTP/1.1\r\n\r\n", refused="no", granted="yes", remedy="mend"
)
TIMEOUT = 60.0
"""Of a connection: none of these has to run into it."""


@contextmanager
def saying(*words: bytes) -> Iterator[tuple[ManagementPlace, list[bytes]]]:
    """A place that says this, piece by piece, and ends; and what it was told."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            link, _ = server.accept()
            with link:
                heard.append(link.recv(4_096))
                for each in words:
                    link.sendall(each)

        thread = Thread(target=serve)
        thread.start()
        yield ManagementPlace(host="127.0.0.1", port=server.getsockname()[1]), heard
        thread.join()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n{}",), 200),
        ((b"HTTP/1.", b"1 40", b"1 \r\n\r\n"), 401),
        ((b"HTTP/1.0 403\r\n",), 403),
        ((b"HTTP/2 200 OK\r\n",), None),
        ((b"HTTP/1.1 2000 OK\r\n",), None),
        ((b"\x15\x03\x01\x00\x02\x02\x46",), None),
        ((b"x" * 4_096,), None),
        ((), None),
    ],
)
def test_status_is_read_and_nothing_else(words: tuple[bytes, ...], status: int | None) -> None:
    with saying(*words) as (place, heard):
        assert ask(place, QUESTION, timeout=TIMEOUT) == status
    assert heard == [QUESTION.request]


def test_nobody_there_is_no_answer_and_no_time_is_none() -> None:
    assert ask(ManagementPlace(host="127.0.0.1", port=free_port()), QUESTION, timeout=TIMEOUT) is None
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = ManagementPlace(host="127.0.0.1", port=mute.getsockname()[1])
        assert ask(place, QUESTION, timeout=0.05) is None


def test_address_where_there_is_never_a_broker_is_not_connected_to() -> None:
    assert ask(ManagementPlace(host="169.254.169.254", port=80), QUESTION, timeout=0.05) is None


def test_who_shows_no_certificate_of_the_ca_is_told_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    ca = new_openssl_ca(tmp_path_factory.mktemp("management") / "ca")
    with saying(b"HTTP/1.1 200 OK\r\n\r\n") as (place, heard):
        assert ask(replace(place, ca_pem=ca.certificate), QUESTION, timeout=TIMEOUT) is None
    assert not any(b"GET" in octets for octets in heard)
