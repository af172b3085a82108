"""What has to be seen on PostgreSQL too: several writers, services that lock rows, and SQL of our own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import new_database
from tests.programs import ROOT, call

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

MODULES = {
    "services of devices": ("tests/devices/services", "tests/devices/api", "tests/devices/test_queries.py"),
    "queries of devices": ("tests/devices/test_reaching.py", "tests/devices/queries/test_group_sql.py"),
    "journal": ("tests/kernel/test_record.py", "tests/kernel/test_wakeups.py"),
    "certificates": (
        "tests/pki/races.py",
        "tests/pki/test_presented.py",
        "tests/pki/test_profiles.py",
        "tests/pki/test_revocation.py",
        "tests/pki/test_tasks.py",
        "tests/pki/test_writing_ahead.py",
    ),
    "CRLs": (
        "tests/pki/test_crl_publishing.py",
        "tests/pki/test_revocation_of_many.py",
        "tests/pki/test_revocation_rules.py",
    ),
}


@pytest.fixture(scope="module")
def run(postgresql_server: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs tests on one database, that the first of them migrates; what they said."""
    environment = {
        "GATEHOUSE_TEST_HOME": str(tmp_path_factory.mktemp("home")),
        "GATEHOUSE_TEST_DATABASE_URL": new_database(postgresql_server),
    }

    def run(*words: str) -> str:
        return call(environment, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--reuse-db", *words)

    return run


@pytest.mark.parametrize("what", MODULES)
def test_what_sqlite_showed_holds_too(what: str, run: Callable[..., str]) -> None:
    assert " passed" in run("-m", "not several_writers", *MODULES[what])


def test_tests_with_several_writers(run: Callable[..., str]) -> None:
    modules = [path for path in Path(ROOT, "tests").rglob("test_*.py") if "mark.several_writers" in path.read_text()]
    said = run("-m", "several_writers", *map(str, sorted(modules)))
    assert " passed" in said
    assert "skipped" not in said.splitlines()[-1]
