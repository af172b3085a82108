"""Asking a server at a steady rate, whether it keeps up or not: how long answers take from when they were due."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from itertools import count

from bench.loading import is_whole

CONNECTIONS = 32


def p99_milliseconds(port: int, requests: Sequence[bytes], *, per_second: float, seconds: float) -> float:
    """What 99 of 100 answers took at most. A question that finds no free connection waits, and that counts."""
    return p99_of(answer_seconds(port, requests, per_second=per_second, seconds=seconds))


def p99_of(took: Sequence[float]) -> float:
    """The same of what was seen in seconds."""
    return sorted(took)[len(took) * 99 // 100] * 1_000


def answer_seconds(port: int, requests: Sequence[bytes], *, per_second: float, seconds: float) -> list[float]:
    """What each answer took from when it was due; of those that found no free connection in time there is none."""
    selector, numbers, free = selectors.DefaultSelector(), count(), deque[socket.socket]()
    due: dict[socket.socket, float] = {}
    pending: dict[socket.socket, bytearray] = {}
    took: list[float] = []
    for _ in range(CONNECTIONS):
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        free.append(client)
    began, sent = time.monotonic(), 0
    try:
        while (now := time.monotonic()) - began < seconds or due:
            while free and began + sent / per_second <= now < began + seconds:
                client = free.popleft()
                pending[client] = bytearray()
                due[client] = began + sent / per_second
                client.sendall(requests[next(numbers) % len(requests)])
                sent += 1
            for key, _ in selector.select(timeout=0.0005):
                answered: socket.socket = key.fileobj  # type: ignore[assignment]
                if not (received := answered.recv(65_536)):
                    raise ConnectionError("the server closed a connection")
                pending[answered] += received
                if not is_whole(pending[answered]):
                    continue
                took.append(time.monotonic() - due.pop(answered))
                free.append(answered)
    finally:
        selector.close()
        for client in (*free, *due):
            client.close()
    return took
