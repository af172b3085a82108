"""The lane of answers in a real web server with eight threads."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

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
