"""The journal on PostgreSQL: what the other modules say of SQLite holds there, and under threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.test_killed_worker import Installation

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def test_journal_and_wakeups_hold_on_postgresql_too(postgresql_url: str, tmp_path: Path) -> None:
    home = {"GATEHOUSE_TEST_HOME": str(tmp_path), "GATEHOUSE_TEST_DATABASE_URL": postgresql_url}
    modules = ["tests/kernel/test_record.py", "tests/kernel/test_wakeups.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *modules],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_check_finds_nothing_while_eight_threads_append(postgresql_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, DATABASE_URL=postgresql_url)
    installation.call("manage.py", "migrate", "--verbosity", "0")
    said = installation.run_code("from tests.kernel.killing import record_and_verify; print(*record_and_verify(400))")
    checks, breaks, last = map(int, said.split())
    assert checks > 2
    assert (breaks, last) == (0, 400)
