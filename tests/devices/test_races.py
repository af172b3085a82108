"""Many at once, on SQLite in a file and on PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.programs import call

pytestmark = pytest.mark.e2e

RUN = "import django, json; django.setup(); from tests.devices.racing import run_all; print(json.dumps(run_all()))"


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
