"""Loading an HTTP server on loopback with ready requests, bounded in time, and counting what it costs the server."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen: answers, by the server's CPU second and by the second of the clock."""

    answers: int
    per_cpu_second: float
    per_second: float


def cpu_seconds(process: int) -> float:
    """What the process and those below it have used of CPU; of those that ended nothing is counted."""
    total, found = 0, [process]
    for each in found:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


def load(
    port: int, process: int, requests: Sequence[bytes], *, seconds: float, expect: bytes, keeps: bool = True
) -> Load:
    """Asks over a few connections, each with one request at a time; every answer has to hold `expect`.

    A server that does not keep connections gets a new one for each request.
    """
    once = _keeping if keeps else _reconnecting
    before, began = cpu_seconds(process), time.monotonic()
    answers = once(port, requests, began + seconds, expect)
    passed = time.monotonic() - began
    return Load(answers, answers / max(0.01, cpu_seconds(process) - before), answers / passed)


def _keeping(port: int, requests: Sequence[bytes], ends_at: float, expect: bytes) -> int:
    selector, numbers, answers = selectors.DefaultSelector(), count(), 0
    pending: dict[int, bytearray] = {}
    clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(CONNECTIONS)]
    try:
        for client in clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client, selectors.EVENT_READ, client)
            pending[client.fileno()] = bytearray()
            client.sendall(requests[next(numbers) % len(requests)])
        while time.monotonic() < ends_at:
            for key, _ in selector.select(timeout=1):
                client, kept = key.data, pending[key.fd]
                received = client.recv(65_536)
                if not received:
                    raise ConnectionError("the server closed a connection")
                kept += received
                if not is_whole(kept):
                    continue
                _check(kept, expect)
                kept.clear()
                answers += 1
                client.sendall(requests[next(numbers) % len(requests)])
    finally:
        selector.close()
        for client in clients:
            client.close()
    return answers


def _reconnecting(port: int, requests: Sequence[bytes], ends_at: float, expect: bytes) -> int:
    answers = 0
    while time.monotonic() < ends_at:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(requests[answers % len(requests)])
            kept = bytearray()
            while received := client.recv(65_536):
                kept += received
                if is_whole(kept):
                    break
        _check(kept, expect)
        answers += 1
    return answers


def is_whole(answer: bytearray) -> bool:
    """Whether that is an answer with all the octets that its Content-Length promises."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer.lower().find(b"content-length:", 0, end)
    if at < 0:
        return False  # until it is closed
    return len(answer) >= end + 4 + int(answer[at + 15 : answer.find(b"\r", at)])


def _check(answer: bytearray, expect: bytes) -> None:
    if b" 200 " not in answer[:16] or expect not in answer:
        raise RuntimeError(f"an answer that is none: {bytes(answer[:200])!r}")


def median_of(runs: int, once: Callable[[], Load]) -> Load:
    """The run whose answers by CPU second are the median."""
    found = sorted((once() for _ in range(runs)), key=lambda each: each.per_cpu_second)
    return found[runs // 2]
