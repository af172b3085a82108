"""A root and an issuing CA in domain north, and openssl's keys and requests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kernel.core.ids import new_id
from pki import services
from pki.core.values import IssuedCertificate, Issuer
from tests.cast import ADA, NORTH


def openssl(*words: str | Path, given: bytes | None = None, check: bool = True) -> str:
    """What openssl says, on both streams."""
    done = subprocess.run(["openssl", *map(str, words)], input=given, capture_output=True, check=False, timeout=60)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


def make_csr(folder: Path, name: str, *options: str) -> bytes:
    """A request that openssl made for a fresh key, P-256 unless `options` say otherwise."""
    kind = options or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    key, csr = folder / f"{name}.key", folder / f"{name}.csr"
    openssl("req", "-new", *kind, "-nodes", "-keyout", key, "-subj", f"/CN={name}", "-out", csr)
    return csr.read_bytes()


@pytest.fixture(autouse=True)
def _no_consequences(settings: Any) -> None:
    settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def root(db: None, now: datetime) -> Issuer:
    return services.create_root(domain=NORTH, slug="north-root", common_name="North Root", actor=ADA, now=now)


@pytest.fixture
def ca(root: Issuer, now: datetime) -> Issuer:
    return services.create_issuing_ca(parent=root.id, slug="north-ca", common_name="North CA", actor=ADA, now=now)


IssueDevice = Callable[[str], IssuedCertificate]


@pytest.fixture
def issue_device(ca: Issuer, now: datetime, tmp_path: Path) -> IssueDevice:
    def issue(name: str) -> IssuedCertificate:
        device = new_id()
        return services.issue_certificate(
            issuer=ca.id,
            profile="device",
            csr=make_csr(tmp_path, name),
            holder=f"device:{device}",
            variables={"auth_id": name, "domain": "north", "id": str(device)},
            actor=ADA,
            now=now,
        )

    return issue
