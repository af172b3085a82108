"""A role that the whole domain has is edited under devices that are asked about: what they cost to be learnt anew."""

from __future__ import annotations

import selectors
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.loading import CONNECTIONS, cpu_seconds

_LONGEST = 60.0


@dataclass(slots=True)
class Relearning:
    """What was seen from the first answer by the new policy until each device had one: answers, and seconds."""

    answers: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class _Client:
    """One connection with the request that it waits for, by its number."""

    socket: socket.socket
    number: int = 0
    asked_at: float = 0.0
    kept: bytearray = field(default_factory=bytearray)


def learnt_anew(port: int, process: int, requests: Sequence[bytes], edit: subprocess.Popen[bytes]) -> Relearning:
    """Asks all in turn while `edit` makes what they want allowed, and goes on with who is refused until nobody is.

    Raises TimeoutError after a minute.
    """
    seen, left, allowed = Relearning(), deque(range(len(requests))), set[int]()
    began = before = 0.0
    ends_at = time.monotonic() + _LONGEST
    with _clients(port) as (selector, clients):
        for client in clients:
            _ask_next(client, left, requests)
        while len(allowed) < len(requests):
            if time.monotonic() > ends_at:
                raise TimeoutError(f"{len(requests) - len(allowed)} devices are still refused, {edit.poll()=}")
            for key, _ in selector.select(timeout=1):
                client = key.data
                client.kept += client.socket.recv(65_536)
                if not client.kept.endswith(b"}"):  # EMQX's answers are one JSON object
                    continue
                if b'"result":"allow"' in client.kept:
                    began, before = began or time.monotonic(), before or cpu_seconds(process)
                    allowed.add(client.number)
                else:
                    left.append(client.number)
                if began:
                    seen.answers += 1
                    seen.longest = max(seen.longest, time.monotonic() - client.asked_at)
                if left:
                    _ask_next(client, left, requests)
    seen.seconds, seen.cpu_seconds = time.monotonic() - began, cpu_seconds(process) - before
    return seen


def _ask_next(client: _Client, left: deque[int], requests: Sequence[bytes]) -> None:
    client.number, client.asked_at = left.popleft(), time.monotonic()
    client.kept.clear()
    client.socket.sendall(requests[client.number])


@contextmanager
def _clients(port: int) -> Iterator[tuple[selectors.BaseSelector, list[_Client]]]:
    """Connections that are open while the block runs."""
    with selectors.DefaultSelector() as selector:
        clients = [_Client(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(CONNECTIONS)]
        try:
            for client in clients:
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(client.socket, selectors.EVENT_READ, client)
            yield selector, clients
        finally:
            for client in clients:
                client.socket.close()
