"""Many at once, on SQLite in a file and on PostgreSQL; and this folder's tests on PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
RUN = "import django, json; django.setup(); from tests.devices.racing import run_all; print(json.dumps(run_all()))"


def call(environment: dict[str, str], *words: str) -> str:
    """The output of a Python program that has to succeed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_whoever_comes_at_once_is_served_as_if_one_after_another(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    environment = {"GATEHOUSE_TEST_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    if database == "postgresql":
        environment["GATEHOUSE_TEST_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    call(environment, "manage.py", "migrate", "--verbosity", "0")
    found = json.loads(call(environment, "-c", RUN).splitlines()[-1])
    assert found["quota"] == {"told": {"ok": 5, "token-spent": 15}, "uses": 5, "left": 5}
    assert found["same_wish"] == {"told": {"ok": 20}, "serials": 1, "good": 1}
    assert found["one_name"] == {"told": {"ok": 1, "name-taken": 9}, "left": 1}
    assert found["one_key"] == {"told": {"ok": 1, "key-in-use": 9}, "left": 1}
    race = found["renewal_against_revocation"]
    assert race["states"] == ["revoked"]
    assert set(race["told"]) <= {"ok", "device-state", "certificate-revoked"}, race
    assert found["journal"] == 0


def test_all_of_this_holds_on_postgresql_too(postgresql_url: str, tmp_path: Path) -> None:
    environment = {"GATEHOUSE_TEST_HOME": str(tmp_path), "GATEHOUSE_TEST_DATABASE_URL": postgresql_url}
    folders = ["tests/devices/services", "tests/devices/api", "tests/devices/test_queries.py"]
    said = call(environment, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *folders)
    assert " passed" in said
