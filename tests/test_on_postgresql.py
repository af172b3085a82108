"""What has to be seen on PostgreSQL too: several writers, services that lock rows, and SQL of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import call

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ROW_LOCKS = ["tests/devices/services", "tests/devices/api", "tests/devices/test_queries.py"]
ITS_OWN_SQL = ["tests/devices/test_reaching.py", "tests/devices/queries/test_group_sql.py"]


def run(url: str, home: Path, *words: str) -> str:
    environment = {"GATEHOUSE_TEST_HOME": str(home), "GATEHOUSE_TEST_DATABASE_URL": url}
    return call(environment, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words)


def test_services_that_lock_rows(postgresql_url: str, tmp_path: Path) -> None:
    assert " passed" in run(postgresql_url, tmp_path, *ROW_LOCKS, *ITS_OWN_SQL)


def test_tests_with_several_writers(postgresql_url: str, tmp_path: Path) -> None:
    said = run(postgresql_url, tmp_path, "-m", "several_writers", "tests")
    assert " passed" in said
    assert "skipped" not in said.splitlines()[-1]
