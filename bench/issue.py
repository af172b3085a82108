"""Issuing device certificates for requests, per CPU second: one by one, many at once, and a file by two workers.

Beside a bare loop of the library (parse, verify, build, sign) and django-ca's own manager. Reach: 0.4 of the bare
loop, and 3 times django-ca.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.issue_house import csrs
from bench.loading import cpu_seconds
from bench.processes import postmaster_of
from tests.servers import running_postgresql, running_redis

ROOT = Path(__file__).resolve().parents[1]
PEER = "django-ca==3.2.0"
PEER_REQUESTS = 500
BULK_ROWS = 5_000
BULK_RUNS = 5


def measure() -> dict[str, Any]:
    """Certificates per CPU second of everything that works for them, the database's server included."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-issue-") as folder:
        house = _in_process({"GATEHOUSE_HOME": f"{folder}/sqlite"})
        with running_postgresql() as url, running_redis() as redis:
            environment = {"GATEHOUSE_HOME": f"{folder}/postgresql", "DATABASE_URL": url, "REDIS_URL": redis}
            other = _in_process(environment | {"BENCH_POSTMASTER": str(postmaster_of(url))})
            bulk = _bulk(Path(folder), environment, postmaster_of(url))
        peer = _django_ca(Path(folder) / "peer")
    bare = statistics.median((house["bare"], other["bare"]))
    return {
        "sqlite": house,
        "postgresql": other,
        "bulk": bulk | {"of_bare": round(bulk["per_cpu_second"] / bare, 2)},
        "django_ca_per_cpu_second": peer,
        "batch_of_django_ca": round(house["batch"] / peer, 1) if peer else None,
        "single_of_django_ca": round(house["single"] / peer, 1) if peer else None,
    }


def _in_process(environment: dict[str, str]) -> dict[str, Any]:
    _run(environment, "manage.py", "migrate", "--verbosity", "0")
    seen: dict[str, Any] = json.loads(_run(environment, "-m", "bench.issue_house", "measure"))
    return seen


def _bulk(folder: Path, environment: dict[str, str], postmaster: int) -> dict[str, Any]:
    """`manage.py issue --bulk` with two worker processes, each with one thread."""
    with _workers(environment) as workers:
        _bulk_run(folder, environment, [*workers, postmaster], name="warm", count=200)
        runs = [
            _bulk_run(folder, environment, [*workers, postmaster], name=str(number), count=BULK_ROWS)
            for number in range(BULK_RUNS)
        ]
    per_cpu, per_second = (statistics.median(each[index] for each in runs) for index in (0, 1))
    return {"rows": BULK_ROWS, "workers": 2, "per_cpu_second": round(per_cpu), "per_second": round(per_second)}


def _bulk_run(
    folder: Path, environment: dict[str, str], servers: Sequence[int], *, name: str, count: int
) -> tuple[float, float]:
    """Certificates per CPU second of the servers, and per second of the whole command."""
    rows, result = folder / f"{name}.ndjson", folder / f"{name}.result"
    with rows.open("w") as file:
        for number, csr in enumerate(csrs(count)):
            variables = {"auth_id": f"{name}-{number}", "domain": "bench", "id": f"{name}-{number}"}
            row = {"csr": csr.decode(), "holder": f"service:{name}-{number}", "variables": variables}
            file.write(json.dumps(row) + "\n")
    before, began = sum(map(cpu_seconds, servers)), time.monotonic()
    words = ["--bulk", str(rows), "--issuer", "bench-ca", "--profile", "device", "--result", str(result)]
    _run(environment, "manage.py", "issue", *words)
    passed, used = time.monotonic() - began, sum(map(cpu_seconds, servers)) - before
    with result.open() as file:
        issued = sum('"certificate"' in line for line in file)
    if issued != count:
        raise RuntimeError(f"{issued} of {count} were issued")
    return count / used, count / passed


@contextlib.contextmanager
def _workers(environment: dict[str, str]) -> Iterator[list[int]]:
    words = [sys.executable, "manage.py", "worker", "--queues", "bulk", "--concurrency", "1"]
    started = [
        subprocess.Popen(
            words, cwd=ROOT, env=_kept() | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    try:
        time.sleep(8)
        yield [each.pid for each in started]
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.wait(30)


def _django_ca(folder: Path) -> float | None:
    """What django-ca issues per CPU second, in an environment of its own; None if it can not be installed."""
    folder.mkdir()
    python = folder / "venv/bin/python"
    try:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True, capture_output=True)
    except (subprocess.CalledProcessError, OSError):
        return None
    (folder / "requests.json").write_text(json.dumps([csr.decode() for csr in csrs(PEER_REQUESTS)]))
    words: Sequence[Any] = [python, ROOT / "bench/django_ca_peer.py", folder]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=_kept())
    return round(float(json.loads(done.stdout.splitlines()[-1])["per_cpu_second"]))


def _kept() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def _run(environment: dict[str, str], *words: str) -> str:
    """What a Python program of ours prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=_kept() | environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    return done.stdout
