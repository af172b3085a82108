"""The embedded queue, through kombu as Celery uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from console import folder_queue

folder_queue.register()
QUEUE = Queue("revocation", Exchange("gatehouse"), "revocation")


def connect(folder: Path) -> Connection:
    return Connection(f"{folder_queue.SCHEME}://localhost", transport_options={"folder": str(folder)})


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Connection]:
    with connect(tmp_path) as link:
        yield link


def put(link: Connection, *bodies: object, routing_key: str = "revocation", exchange: str = "") -> None:
    with link.Producer() as producer:
        for body in bodies:
            producer.publish(body, exchange=exchange, routing_key=routing_key, declare=[QUEUE])


def take(link: Connection, queue: str = "revocation") -> list[object]:
    """Every message, acknowledged."""
    found = []
    simple = link.SimpleQueue(queue)
    try:
        while True:
            message = simple.get_nowait()
            found.append(message.payload)
            message.ack()
    except Empty:
        return found
    finally:
        simple.close()


def test_messages_come_once_and_in_order(link: Connection) -> None:
    put(link, {"wakeup": 1}, {"wakeup": 2}, {"wakeup": 3})
    assert take(link) == [{"wakeup": 1}, {"wakeup": 2}, {"wakeup": 3}]
    assert take(link) == []


def test_queues_are_apart(link: Connection) -> None:
    put(link, {"wakeup": 1}, routing_key="bulk")
    assert take(link) == []
    assert take(link, "bulk") == [{"wakeup": 1}]


def test_exchange_leads_to_the_queue_that_is_bound_to_it(link: Connection) -> None:
    put(link, {"wakeup": 1}, exchange="gatehouse")
    assert take(link) == [{"wakeup": 1}]


def test_message_waits_for_a_later_process(tmp_path: Path) -> None:
    with connect(tmp_path) as first:
        put(first, {"wakeup": 1})
    with connect(tmp_path) as second:
        assert take(second) == [{"wakeup": 1}]


@pytest.mark.parametrize("content", [b"", b'{"body": ', b"\x00\x01", b"\xff"])
def test_file_that_is_no_message_harms_nobody(link: Connection, tmp_path: Path, content: bytes) -> None:
    put(link, {"wakeup": 1})
    (tmp_path / "revocation" / "00-first.msg").write_bytes(content)
    (tmp_path / "revocation" / ".half-written").write_bytes(b"{")
    assert take(link) == [{"wakeup": 1}]


def test_size_and_purge_count_messages(link: Connection) -> None:
    put(link, 1, 2, 3)
    channel: Any = link.default_channel
    assert channel._size("revocation") == 3
    assert channel._purge("revocation") == 3
    assert channel._size("revocation") == 0


def test_two_readers_and_a_writer_neither_lose_nor_double(tmp_path: Path) -> None:
    taken: list[object] = []
    written = threading.Event()

    def read() -> None:
        with connect(tmp_path) as link:
            while True:
                ended = written.is_set()
                found = take(link)
                taken.extend(found)
                if ended and not found:
                    return

    def write() -> None:
        with connect(tmp_path) as link:
            put(link, *range(300))
        written.set()

    threads = [threading.Thread(target=act) for act in (read, read, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, taken)) == sorted(map(str, range(300)))
