"""`POST /api/v1/enroll/` end to end, over 32 connections, on PostgreSQL and Redis.

Reach: 200 a second on 2 cores, with p99 at 1 s.

Published defaults of others: AWS RegisterThing 10 a second, Azure DPS 16.7 a second.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.issue_house import csrs
from bench.loading import cpu_seconds
from bench.processes import postmaster_of
from tests.e2e.house import ROOT, House
from tests.servers import running_postgresql, running_redis

CONNECTIONS = 32
WEB_PROCESSES = 2
WARM_UP, RUNS, REQUESTS = 100, 5, 600
_MINT = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
django.setup()
from devices import queries, services
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
[domain] = [each for each in queries.list_domains() if each.slug == "default"]
print(services.mint_enrolment_token(domain=domain.id, profile="default", max_uses=1_000_000, expires_in_seconds=86_400,
    allowed_networks=[], actor=SYSTEM, now=utc_now()).token)
"""


def measure() -> dict[str, Any]:
    """Medians of five runs; the requests are made before the clock starts, the load's own CPU time is not counted."""
    with (
        tempfile.TemporaryDirectory(prefix="gatehouse-bench-enroll-") as folder,
        running_postgresql() as database,
        running_redis() as redis,
    ):
        house = House(Path(folder) / "home", servers={"DATABASE_URL": database, "REDIS_URL": redis})
        house.home.mkdir(mode=0o700)
        house.quickstart()
        token = _python(house, _MINT)
        words = [sys.executable, "manage.py", "web", "--port", str(house.port), "--workers", str(WEB_PROCESSES)]
        quiet = subprocess.DEVNULL
        web = subprocess.Popen(
            words, cwd=ROOT, env=house.environment, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            _wait_ready(house)
            servers = [web.pid, postmaster_of(database)]
            _load(house.port, token, "warm", csrs(WARM_UP))
            runs = [_run(house.port, token, str(number), servers) for number in range(RUNS)]
        finally:
            os.killpg(web.pid, signal.SIGTERM)
            web.wait(30)
    return {
        "connections": CONNECTIONS,
        "web_processes": WEB_PROCESSES,
        "enrolments": RUNS * REQUESTS,
        **{name: round(statistics.median(each[name] for each in runs), 1) for name in runs[0]},
    }


def _run(port: int, token: str, name: str, servers: Sequence[int]) -> dict[str, float]:
    requests = csrs(REQUESTS)
    before, began = [*map(cpu_seconds, servers)], time.monotonic()
    taken = sorted(_load(port, token, name, requests))
    passed = time.monotonic() - began
    web, database = (now - then for now, then in zip(map(cpu_seconds, servers), before, strict=True))
    return {
        "per_second": REQUESTS / passed,
        "per_cpu_second": REQUESTS / (web + database),
        "web_cpu_ms": web / REQUESTS * 1000,
        "database_cpu_ms": database / REQUESTS * 1000,
        "p50_ms": taken[len(taken) // 2],
        "p99_ms": taken[int(len(taken) * 0.99)],
    }


def _load(port: int, token: str, name: str, requests: Sequence[bytes]) -> list[float]:
    """Milliseconds of each enrolment; every one has to succeed."""
    waiting, taken, faults = list(enumerate(requests)), list[float](), list[str]()

    def enrol() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        while waiting and not faults:
            try:
                number, csr = waiting.pop()
            except IndexError:
                break
            body = json.dumps({"csr": csr.decode(), "name": f"{name}-{number}", "attributes": {"site": "north"}})
            began = time.monotonic()
            connection.request("POST", "/api/v1/enroll/", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            taken.append((time.monotonic() - began) * 1000)
            if answer.status != 201:
                faults.append(f"{answer.status}: {said[:500]!r}")
        connection.close()

    threads = [threading.Thread(target=enrol) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise RuntimeError(faults[0])
    return taken


def _wait_ready(house: House) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise RuntimeError("the web server does not answer")


def _python(house: House, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=house.environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout.strip().splitlines()[-1]
