"""Revocations as the product does them: journal, outbox, Redis, a worker of the revocation queue, the lease."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.crl import _run as run
from tests.e2e.house import ROOT
from tests.servers import running_postgresql, running_redis

_FLEET = ("-m", "bench.push_fleet")


@dataclass
class Service:
    """An installation on PostgreSQL with a fleet of ours."""

    environment: Mapping[str, str]
    first_file: str

    def register(self, connection: Mapping[str, object]) -> None:
        """Keeps the broker, which holds the first file already, in agreement from now on."""
        steps = run(self.environment, *_FLEET, "register", json.dumps(connection)).strip()
        if steps != "0":
            raise RuntimeError(f"The broker differed from its first file by {steps} steps.")

    @contextmanager
    def working(self) -> Iterator[Callable[[str], float]]:
        """A worker of the revocation queue and beat run; what revokes the device of a name and says when it began."""
        with ExitStack() as stack:
            for words in (("worker", "--queues", "revocation"), ("beat",)):
                stack.enter_context(self._running("manage.py", *words))
            process = stack.enter_context(self._running(*_FLEET, "revoke"))

            def revoke(name: str) -> float:
                assert process.stdin is not None
                assert process.stdout is not None
                print(name, file=process.stdin, flush=True)
                return float(process.stdout.readline())

            yield revoke

    @contextmanager
    def checking(self) -> Iterator[dict[str, Any]]:
        """The broker is checked again and again; what the dict says of it is there afterwards."""
        seen: dict[str, Any] = {}
        with self._running(*_FLEET, "check") as process:
            yield seen
            seen |= json.loads(process.communicate(timeout=120)[0])

    @contextmanager
    def running(self, *words: str) -> Iterator[int]:
        """The process of such a command of ours, while the block runs."""
        with self._running(*words) as process:
            yield process.pid

    @contextmanager
    def _running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=kept | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


@contextmanager
def service(folder: Path, *, devices: int, halls: int) -> Iterator[Service]:
    """One with so many devices in so many halls."""
    with running_postgresql() as database, running_redis() as redis:
        environment = {"DATABASE_URL": database, "REDIS_URL": redis, "GATEHOUSE_HOME": str(folder)}
        run(environment, "manage.py", "migrate", "--verbosity", "0")
        yield Service(environment, run(environment, *_FLEET, "prepare", str(devices), str(halls)))
