"""The lane of answers in a real web server with eight threads."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest

from console.processes import web_words
from tests.servers import free_port, is_open, stop, wait_until

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 8
MANY = 50
"""More than are answered where each thread that answers rests until one that is stuck comes back."""


class Answer(NamedTuple):
    """One of all that were answered, and by which thread."""

    number: int
    thread: int


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where it listens."""
    port = free_port()
    words = [*web_words(host="127.0.0.1", port=port)[:-1], "tests.console.lane_app:application"]
    environment = {"PATH": os.environ["PATH"], "GATEHOUSE_HOME": str(tmp_path_factory.mktemp("home"))}
    server = subprocess.Popen(words, env=environment, cwd=ROOT, start_new_session=True)
    try:
        wait_until(lambda: is_open(port), what="the web server listens")
        yield port
    finally:
        stop(server)


def ask(port: int, path: str, *, until: float = 0.0) -> list[Answer]:
    """What one question after the other is answered on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    answers: list[Answer] = []
    while not answers or time.monotonic() < until:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        number, thread = response.read().split()
        answers.append(Answer(int(number), int(thread)))
    connection.close()
    return answers


def ask_at_once(port: int, *paths: str, seconds: float = 0.0) -> list[list[Answer]]:
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(len(paths)) as pool:
        return [*pool.map(lambda path: ask(port, path, until=until), paths)]


def test_of_many_questions_at_once_one_thread_answers_almost_all(port: int) -> None:
    ask_at_once(port, *["/waits"] * AT_ONCE)  # so that all of its threads are there
    threads = [each.thread for each in sorted(chain(*ask_at_once(port, *["/at-once"] * AT_ONCE, seconds=2)))]
    changes = sum(one != next for one, next in pairwise(threads))
    assert len(threads) > MANY
    assert changes < len(threads) / 4  # and not seven of eight


def test_those_that_wait_hold_up_nobody(port: int) -> None:
    *waiting, at_once = ask_at_once(port, *["/waits"] * (AT_ONCE - 1), "/at-once", seconds=1)
    assert len(at_once) > MANY
    assert len({each.thread for each in chain(*waiting)}) >= AT_ONCE - 1


def test_who_waits_for_something_unforeseen_holds_up_the_others_for_a_moment_alone(port: int) -> None:
    _, *at_once = ask_at_once(port, "/stuck", "/at-once", "/at-once", seconds=1)
    assert min(map(len, at_once)) > MANY


def test_all_threads_are_there_again_after_many_answers(port: int) -> None:
    ask_at_once(port, *["/at-once"] * AT_ONCE, seconds=0.5)
    began = time.monotonic()
    ask_at_once(port, *["/waits"] * AT_ONCE)
    assert time.monotonic() - began < 2  # and not eight times 0.3 s


def test_bodies_that_come_late_hold_up_nobody_for_as_long(port: int) -> None:
    """However often: without anybody who watches, all wait for each of them."""
    ask_at_once(port, *["/waits"] * AT_ONCE)  # so that all of its threads are there
    until = time.monotonic() + 2
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ask_late, port, until=until)
        at_once = ask(port, "/at-once", until=until)
    assert len(at_once) > 4 * late.result()


def ask_late(port: int, *, until: float) -> int:
    """How many questions were answered whose bodies came 30 ms after their heads."""
    count = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        while time.monotonic() < until:
            client.sendall(b"POST /read HTTP/1.1\r\nHost: lane\r\nContent-Length: 4\r\n\r\n")
            time.sleep(0.03)
            client.sendall(b"late")
            assert client.recv(65_536)
            count += 1
    return count


@contextmanager
def kept(port: int) -> Iterator[None]:
    """Another thread than that which answers in this block has the lane for two seconds."""
    time.sleep(0.5)  # until nobody rests
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask, port, "/keeps")
        time.sleep(0.3)
        yield


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"Content-Length: 50000\r\n\r\n" + bytes(50_000),
        b"Content-Length: 4\r\n\r\nbody",
    ],
    ids=["in chunks", "long", "short"],
)
def test_whose_body_nobody_reads_can_ask_again_or_is_told_to_come_anew(port: int, rest: bytes) -> None:
    question = b"POST /at-once HTTP/1.1\r\nHost: lane\r\n" + rest
    found = b""
    with kept(port), socket.create_connection(("127.0.0.1", port), timeout=1) as client:
        client.sendall(question + question)
        while found.count(b"200 OK") < 2 and (some := client.recv(65_536)):
            found += some
    assert b"200 OK" in found


def test_an_answer_over_http_2_is_at_its_end_when_it_is_sent(port: int) -> None:
    headers = b"\x82\x86\x41\x04lane\x04\x08/at-once"  # RFC 7541: GET, http, and two that stand there
    frames = [_frame(4, 0, 0, b""), _frame(1, 0x5, 1, headers)]
    with kept(port), socket.create_connection(("127.0.0.1", port), timeout=1) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(frames))
        with client.makefile("rb") as stream:
            while not _is_end(stream.read(9), stream):
                pass


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """RFC 9113 4.1."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + number.to_bytes(4) + payload


def _is_end(head: bytes, stream: BinaryIO) -> bool:
    """Whether the frame, which is read, ends the only stream."""
    stream.read(int.from_bytes(head[:3]))
    return head[5:] == (1).to_bytes(4) and bool(head[4] & 0x1)
