"""Killing the worker with -9 in the middle of 200 wake-ups loses none: real processes, real queues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.servers import empty_redis, stop, wait_until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
COUNT, LANES = 200, 8
KILLED_AFTER = (15, 60, 110, 150, 190)


class Installation:
    """Worker and beat of one installation, and the marks that its wake-ups leave."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self.marks_file = home, home / "marks"
        self.marks_file.touch()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = kept | environment | {
            "DJANGO_SETTINGS_MODULE": "tests.kernel.killing_settings",
            "GATEHOUSE_HOME": str(home),
            "GATEHOUSE_TEST_MARKS": str(self.marks_file),
        }  # fmt: skip

    def call(self, *words: str) -> str:
        """The output of a Python program that has to succeed."""
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def running(self, *words: str) -> Iterator[None]:
        process = self.start(*words)
        try:
            yield
        finally:
            stop(process)

    def marks(self) -> list[int]:
        return [int(line) for line in self.marks_file.read_text().split()]

    def has_marks(self, count: int) -> bool:
        return len(self.marks()) >= count

    def states(self) -> Counter[str]:
        """How many wake-ups are in which state."""
        said = self.run_code("from kernel.models import Wakeup; print(*Wakeup.objects.values_list('state', flat=True))")
        return Counter(said.split())

    def run_code(self, code: str) -> str:
        """The output of Python code that has Django at hand."""
        return self.call("-c", f"import django; django.setup(); {code}")


@pytest.fixture(params=["embedded", "redis"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    """Filesystem queue and SQLite, or Redis and PostgreSQL, migrated."""
    if request.param == "embedded":
        made = Installation(tmp_path)
    else:
        urls = {name: request.getfixturevalue(name) for name in ("postgresql_url", "redis_url")}
        made = Installation(tmp_path, DATABASE_URL=urls["postgresql_url"], REDIS_URL=urls["redis_url"])
    made.call("manage.py", "migrate", "--verbosity", "0")
    return made


def test_killing_the_worker_loses_no_wakeup(installation: Installation) -> None:
    with installation.running("beat"):
        worker = installation.start("worker", "--queues", "revocation", "--concurrency", "4")
        try:
            installation.run_code(f"from tests.kernel.killing import record_all; record_all({COUNT})")
            for count in KILLED_AFTER:
                wait_until(partial(installation.has_marks, count), what=f"{count} marks")
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
                if count == KILLED_AFTER[2] and "REDIS_URL" in installation.environment:
                    empty_redis(installation.environment["REDIS_URL"])
                worker = installation.start("worker", "--queues", "revocation", "--concurrency", "4")
            wait_until(lambda: set(installation.marks()) == set(range(COUNT)), what="every mark")
            wait_until(lambda: installation.states() == {"done": COUNT}, what="every wake-up is done")
        finally:
            stop(worker)
    assert_in_order(installation.marks())
    assert f"{COUNT} entries" in installation.call("manage.py", "journal", "verify")


def test_lost_message_is_sent_again_though_no_worker_runs(tmp_path: Path) -> None:
    """Whatever holds up all threads of all workers, the sweep goes on, and each has its message when they are free."""
    installation = Installation(tmp_path)
    installation.call("manage.py", "migrate", "--verbosity", "0")
    installation.run_code("from tests.kernel.killing import record_all; record_all(1)")
    queue = tmp_path / "queue" / "revocation"
    [lost] = queue.glob("*.msg")
    lost.unlink()
    with installation.running("beat"):
        wait_until(lambda: any("tests.mark" in each.read_text() for each in queue.glob("*.msg")), what="its message")


def assert_in_order(marks: list[int]) -> None:
    """Each lane's marks rise; one may stand twice, where its worker was killed between the mark and the row."""
    for lane in range(LANES):
        of_lane = [number for number in marks if number % LANES == lane]
        assert of_lane == sorted(of_lane)
        assert len(of_lane) - len(set(of_lane)) <= len(KILLED_AFTER)
