"""A process that is killed while it applies a change leaves nothing half-applied, and the next one applies it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import ROOT, call

pytestmark = pytest.mark.e2e

SETUP = "import django; django.setup(); from tests.devices import killing_policy; killing_policy."
BEFORE = [{"old": ["up"], "pumps": ["up"]}, 0, "approved", 0]
AFTER = [{"new": ["new"], "pumps": ["down"]}, 2, "applied", 0]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_change_is_applied_as_a_whole_or_not_at_all(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    environment = {"GATEHOUSE_TEST_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    if database == "postgresql":
        environment["GATEHOUSE_TEST_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    call(environment, "manage.py", "migrate", "--verbosity", "0")
    call(environment, "-c", f"{SETUP}prepare()")
    for entry in (1, 4, 6):
        done = subprocess.run(
            [sys.executable, "-c", f"{SETUP}apply(die_at={entry})"],
            cwd=ROOT,
            env=os.environ | environment,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, f"it has no entry {entry}"
        assert json.loads(call(environment, "-c", f"{SETUP}look()").splitlines()[-1]) == BEFORE
    call(environment, "-c", f"{SETUP}apply()")
    assert json.loads(call(environment, "-c", f"{SETUP}look()").splitlines()[-1]) == AFTER
