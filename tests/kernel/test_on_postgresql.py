"""The journal on PostgreSQL, under threads; what the other modules say is in tests/test_on_postgresql.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.test_killed_worker import Installation

pytestmark = pytest.mark.e2e


def test_check_finds_nothing_while_eight_threads_append(postgresql_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, DATABASE_URL=postgresql_url)
    installation.call("manage.py", "migrate", "--verbosity", "0")
    said = installation.run_code("from tests.kernel.killing import record_and_verify; print(*record_and_verify(400))")
    checks, breaks, last = map(int, said.split())
    assert checks > 2
    assert (breaks, last) == (0, 400)
