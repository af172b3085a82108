"""What brokers tell, at 2,000 events a second: heard from a real Mosquitto by `listen`, and told by EMQX's webhook.

Reach: 2,000 a second sustained on two cores, none of them lost. Broker, PostgreSQL and whoever makes the events run on
the same cores.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench.crl import _run as run
from bench.loading import cpu_seconds
from bench.ocsp_house import free_port, web
from bench.pacing import answer_seconds, p99_of
from bench.processes import postmaster_of
from bench.push import HALLS, _broker
from bench.push_certificates import Authority
from bench.push_services import Service, service
from bench.push_sessions import enter
from console.processes import web_words
from tests.brokers.mosquitto import LiveMosquitto
from tests.servers import wait_until

PER_SECOND, SECONDS = 2_000, 60
DEVICES, SPEAKING = 10_000, 50
_TOPICS, _COMING = 100, 5_000
_JUDGED = {"event": "client.check_authz_complete"}
_SUBSCRIBE = 0x82
_SETTLED_SECONDS = 120
_fresh = multiprocessing.get_context("spawn")


def measure() -> dict[str, Any]:
    """By feed: events sent and written, seconds after the last one until no more were, and cores that were busy.

    Where fewer were written than sent, the last five of those seconds were spent waiting for more.
    """
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        with (
            service(Path(folder) / "home", devices=DEVICES, halls=HALLS) as installed,
            _broker(Path(folder) / "told", authority, holding=installed.first_file) as broker,
        ):
            installed.register(broker.connection)
            return {
                "per_second": PER_SECOND,
                "seconds": SECONDS,
                "mosquitto": _heard(installed, authority, broker),
                "emqx": _told(installed),
            }


def _heard(installed: Service, authority: Authority, broker: LiveMosquitto) -> dict[str, Any]:
    """Devices subscribe, each time to one filter: a line of Mosquitto's log for each."""
    names = [f"p-{number}" for number in range(SPEAKING)]
    for name in names:
        authority.make(name)
    url = installed.environment["DATABASE_URL"]
    with installed.running("manage.py", "listen") as listener, _lines(url, "hall-7") as count:

        def is_heard() -> bool:
            asyncio.run(_subscribe(authority.folder, broker.device_port, names[:1], 0.1))
            return bool(count())

        wait_until(is_heard, what="the listener hears Mosquitto")
        time.sleep(2)
        before = count()
        with _cores(listener, url) as seen:
            began = time.monotonic()
            process = _fresh.Process(target=_speak, args=(authority.folder, broker.device_port, names))
            process.start()
            process.join()
            ended = time.monotonic()
            connects = 2 * SPEAKING  # and their ends
            sent = PER_SECOND * SECONDS + connects
            late = _settled(lambda: count() - before, sent, ended)
        return {**seen, "took_seconds": round(ended - began, 1), "sent": sent, "written": count() - before, **late}


def _speak(folder: Path, port: int, names: list[str]) -> None:
    asyncio.run(_subscribe(folder, port, names, SECONDS))


async def _subscribe(folder: Path, port: int, names: list[str], seconds: float) -> None:
    """So many subscriptions in a second of all of them together, for so long; then they go."""
    opened = await asyncio.gather(*(enter(folder, port, name) for name in names))
    began, rate = time.monotonic(), PER_SECOND / SPEAKING

    async def speak(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(round(rate * seconds)):
            topic = f"north/{name}/down/{number % _TOPICS}".encode()
            body = struct.pack(">HH", number % 60_000 + 1, len(topic)) + topic + b"\x00"
            writer.write(bytes([_SUBSCRIBE, len(body)]) + body)
            await reader.readexactly(5)
            await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
        writer.write(b"\xe0\x00")
        await writer.drain()
        writer.close()

    await asyncio.gather(*(speak(name, *streams) for name, streams in zip(names, opened, strict=True)))


def _told(installed: Service) -> dict[str, Any]:
    """Devices come, are allowed and denied something, and go: a request for each event, as EMQX makes them."""
    environment, port = dict(installed.environment), free_port()
    broker, secret = json.loads(run(environment, "-m", "bench.push_fleet", "webhook"))
    requests = [_post(f"/ingest/{broker}/emqx", secret, body) for body in _bodies()]
    url = environment["DATABASE_URL"]
    words, everything = web_words(host="127.0.0.1", port=port), {**environment, "GATEHOUSE_PORT": str(port)}
    with web(everything, words, port) as process, _lines(url, "emqx-1") as count, _cores(process, url) as seen:
        answers = answer_seconds(port, requests, per_second=PER_SECOND, seconds=SECONDS)
        sent, ended = len(answers), time.monotonic()
        late = _settled(count, sent, ended)
        found = {"sent": sent, "written": count(), **late, "answered_p99_ms": round(p99_of(answers), 1)}
    return {**seen, **found}


def _bodies() -> Iterator[str]:
    """What one device does is seconds apart: what comes over several connections may overtake."""
    for first in range(0, DEVICES, _COMING):
        clients = [
            {"username": name, "clientid": name, "peername": f"192.0.2.7:{20_000 + number}"}
            for number in range(first, first + _COMING)
            for name in [f"p-{number}"]
        ]
        for event in (
            {"event": "client.connected"},
            {**_JUDGED, "action": "publish", "topic": "north/all/x", "result": "allow"},
            {**_JUDGED, "action": "subscribe", "topic": "north/#", "result": "deny"},
            {"event": "client.disconnected", "reason": "normal"},
        ):
            yield from (json.dumps(client | event) for client in clients)


def _post(path: str, secret: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextmanager
def _lines(url: str, broker: str) -> Iterator[Any]:
    """A function that says how many lines the access log has of that broker."""
    with psycopg.connect(url, autocommit=True) as session:
        query = "SELECT count(*) FROM brokers_accessevent WHERE broker_name = %s"

        def count() -> int:
            [found] = session.execute(query, (broker,)).fetchone() or (0,)
            return int(found)

        yield count


@contextmanager
def _cores(process: int, url: str) -> Iterator[dict[str, Any]]:
    """How many cores the process and PostgreSQL kept busy, in the dict once the block has ended."""
    seen: dict[str, Any] = {}
    watched = {"cores_of_ours": process, "cores_of_postgresql": postmaster_of(url)}
    before, began = {name: cpu_seconds(pid) for name, pid in watched.items()}, time.monotonic()
    yield seen
    passed = time.monotonic() - began
    seen |= {name: round((cpu_seconds(pid) - before[name]) / passed, 2) for name, pid in watched.items()}


def _settled(count: Any, sent: int, ended: float) -> dict[str, float]:
    """Waits until all are written, or nothing more comes."""
    before, still = -1, 0
    while (now := count()) < sent and still < 10 and time.monotonic() - ended < _SETTLED_SECONDS:
        still = still + 1 if now == before else 0
        before = now
        time.sleep(0.5)
    return {"behind_seconds": round(time.monotonic() - ended, 1)}
