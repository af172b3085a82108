"""The certificate authority on PostgreSQL: what the other modules say holds there too, and under threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "modules",
    [
        ("races.py",),
        ("test_revocation.py", "test_writing_ahead.py", "test_tasks.py", "test_presented.py", "test_profiles.py"),
        ("test_crl_publishing.py", "test_revocation_of_many.py", "test_revocation_rules.py"),
    ],
)
def test_certificates_and_crls_hold_on_postgresql_too(
    modules: tuple[str, ...], postgresql_url: str, tmp_path: Path
) -> None:
    home = {"GATEHOUSE_TEST_HOME": str(tmp_path), "GATEHOUSE_TEST_DATABASE_URL": postgresql_url}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/pki/{name}" for name in modules)]
    done = subprocess.run(
        words, cwd=ROOT, env={"PATH": os.environ["PATH"], **home}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
