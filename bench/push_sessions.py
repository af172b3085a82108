"""Many devices connected to one Mosquitto by mutual TLS, and a stopwatch on how long it answers nobody."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

_AT_ONCE = 50
_PINGREQ, _CONNECT = b"\xc0\x00", 0x10
_fresh = multiprocessing.get_context("spawn")


@contextmanager
def sessions(folder: Path, port: int, names: Sequence[str]) -> Iterator[Any]:
    """A queue of (name, monotonic time) of each session that is closed; they are open when it is given.

    The folder has ca.pem, and <name>.pem with certificate and key.
    """
    ended, ready = _fresh.Queue(), _fresh.Event()
    process = _fresh.Process(target=_hold, args=(folder, port, list(names), (ended, ready)))
    process.start()
    try:
        while not ready.wait(1):
            if process.exitcode is not None:
                raise RuntimeError("The sessions could not be opened.")
        yield ended
    finally:
        process.terminate()
        process.join(60)


def _hold(folder: Path, port: int, names: list[str], told: tuple[Any, Event]) -> None:
    asyncio.run(_hold_all(folder, port, names, told))


async def _hold_all(folder: Path, port: int, names: list[str], told: tuple[Any, Event]) -> None:
    ended, ready = told
    gate = asyncio.Semaphore(_AT_ONCE)

    async def enter_in_turn(name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            return await enter(folder, port, name)

    async def watch(name: str, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while await reader.read(4096):
                pass
        ended.put((name, time.monotonic()))

    opened = await asyncio.gather(*map(enter_in_turn, names))
    ready.set()
    await asyncio.gather(*(watch(name, reader) for name, (reader, _) in zip(names, opened, strict=True)))


async def enter(folder: Path, port: int, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A session of that device, with its certificate in the folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / f"{name}.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(connect_packet(name))
    answer = await reader.readexactly(4)
    if answer[3]:
        raise RuntimeError(f"Mosquitto refused {name}.")
    return reader, writer


@contextmanager
def stopwatch(port: int, pid: int, username: str, password: str) -> Iterator[Any]:
    """A function that says the longest wait for a PINGRESP since it was last asked.

    In milliseconds on the clock, and of CPU that the broker `pid` used during a wait: others may keep it from working.
    """
    ours, theirs = _fresh.Pipe()
    process = _fresh.Process(target=_ping, args=(port, pid, (username, password), theirs))
    process.start()

    def longest() -> dict[str, int]:
        ours.send("ask")
        return dict(zip(("ms", "cpu_ms"), ours.recv(), strict=True))

    try:
        longest()
        yield longest
    finally:
        ours.send("stop")
        process.join(60)


def _ping(port: int, pid: int, account: tuple[str, str], orders: Any) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(connect_packet("stopwatch", *account))
        connection.recv(4)
        clock = cpu = 0.0
        while True:
            began, used = time.monotonic(), cpu_seconds(pid)
            connection.sendall(_PINGREQ)
            connection.recv(2)
            clock, cpu = max(clock, time.monotonic() - began), max(cpu, cpu_seconds(pid) - used)
            if orders.poll(0.003):
                if orders.recv() == "stop":
                    return
                orders.send((round(clock * 1000), round(cpu * 1000)))
                clock = cpu = 0.0


def cpu_seconds(pid: int) -> float:
    """What the process has used of CPU, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def connect_packet(client_id: str, username: str = "", password: str = "") -> bytes:
    """A CONNECT of MQTT 3.1.1 with a clean session and no keep alive (3.1)."""
    flags = 0x02 | (0xC0 if username else 0)
    texts = [client_id, *([username, password] if username else [])]
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x00"
    body += b"".join(struct.pack(">H", len(text.encode())) + text.encode() for text in texts)
    if len(body) > 127:
        raise ValueError("The names are too long for one octet of length.")
    return bytes([_CONNECT, len(body)]) + body
