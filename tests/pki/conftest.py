"""A root and an issuing CA in domain north, and openssl's keys and requests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kernel.core.ids import new_id
from kernel.core.secrets import Hidden
from pki import services
from pki.core.values import IssuedCertificate, Issuer
from tests.cast import ADA, NORTH
from tests.made_once import made_once
from tests.pki import softhsm


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


# pkilint calls every URI of a SAN that is not a web address invalid; RFC 5280 4.2.1.6 asks for a scheme and no host.
EXEMPT = {"pkix.invalid_uri_syntax"}


def pkilint(program: str, document: Path, *options: str) -> list[str]:
    """Every finding of severity WARNING and above, but for the one exemption."""
    words = [str(Path(sys.executable).parent / program), "lint", *options, "-f", "JSON", "-s", "WARNING", str(document)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    found = json.loads(said.stdout)["results"]
    codes = [f"{each['code']}: {each.get('message')}" for result in found for each in result["finding_descriptions"]]
    return [code for code in codes if code.partition(":")[0] not in EXEMPT]


@pytest.fixture(autouse=True)
def _kept_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's transaction outlives the requests in it, as with Django's own test client."""
    monkeypatch.setattr("pki.api.wsgi.close_old_connections", lambda: None)


@pytest.fixture(autouse=True)
def _no_consequences(settings: Any) -> None:
    settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def root(db: None, now: datetime) -> Issuer:
    """Made at most a minute ago, as the issuing CA below it is."""
    return made_once(lambda: _make_root(now), "pki", "root")


@pytest.fixture
def ca(root: Issuer, now: datetime) -> Issuer:
    return made_once(lambda: _make_ca(root, now), "pki", "ca")


@pytest.fixture
def ca_of_now(db: None, now: datetime) -> Issuer:
    """An issuing CA that was made just now."""
    return _make_ca(_make_root(now), now)


def _make_root(now: datetime) -> Issuer:
    return services.create_root(domain=NORTH, slug="north-root", common_name="North Root", actor=ADA, now=now)


def _make_ca(root: Issuer, now: datetime) -> Issuer:
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


@pytest.fixture
def token(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The label of a fresh token of SoftHSM, which is the one that is set."""
    settings.GATEHOUSE_PKCS11_MODULE = softhsm.MODULE
    settings.GATEHOUSE_PKCS11_TOKEN = softhsm.make_token(tmp_path_factory.mktemp("softhsm"))
    settings.GATEHOUSE_PKCS11_PIN = Hidden(softhsm.PIN)
    label: str = settings.GATEHOUSE_PKCS11_TOKEN
    return label
