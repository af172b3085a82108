"""A revocation of many whose worker is killed: nothing is lost, nothing is doubled, and the journal holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.programs import ROOT, call
from tests.servers import wait_until

pytestmark = pytest.mark.e2e

COUNT = 400
_SETUP = """
import os, sys, json, django
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
django.setup()
from django.conf import settings
settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from kernel.models import JournalEntry
from kernel.queries import verify_journal
from pki import queries, services
from pki.core.revocation_order import RevocationFilter
from pki.core.values import ReasonCode
from pki.models import Certificate
from tests.cast import ADA, NORTH
now = utc_now()
"""
_ORDER = """
root = services.create_root(domain=NORTH, slug="root", common_name="Root", actor=ADA, now=now)
Certificate.objects.bulk_create(
    Certificate(
        id=new_id(), domain_id=NORTH, issuer_id=root.id, serial=f"{number + 4096:04x}", holder=f"device:{number}",
        profile="device", state="issued", subject=f"CN=pump-{number}", public_key_sha256="", der=b"x",
        fingerprint=f"{number:064x}", not_before=now, not_after=root.not_after, requested_at=now,
    )
    for number in range(int(sys.argv[1]))
)
wanted = RevocationFilter(profile="device")
digest = queries.matching_certificates(domain=NORTH, wanted=wanted).digest
ordered = services.revoke_matching(
    domain=NORTH, wanted=wanted, digest=digest, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now
)
print(ordered.operation)
"""
_CARRY_OUT = """
import pki.services.revoke_certificate
sys.modules["pki.services.revoke_matching"].CHUNK = 10
order = JournalEntry.objects.get(id=sys.argv[1]).as_value()
progress = services.continue_revocation(order=order, now=now, may_go_on=lambda: True)
crl = queries.latest_crl(issuer=queries.find_issuer(slug="root").id)
print(json.dumps([progress.revoked, progress.is_done, crl.entries, len(list(verify_journal()))]))
"""


def entries(url: str) -> int:
    with psycopg.connect(url) as session:
        row = session.execute(
            "SELECT count(*), count(DISTINCT subject_id) FROM kernel_journalentry WHERE action = %s",
            ("pki.certificate.revoked",),
        ).fetchone()
    assert row is not None
    assert row[0] == row[1], "no certificate is recorded twice"
    return int(row[0])


def test_a_killed_worker_s_work_is_taken_up_again(postgresql_url: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": postgresql_url, "GATEHOUSE_HOME": str(tmp_path / "home")}
    call(environment, "manage.py", "migrate", "--verbosity", "0")
    operation = call(environment, "-c", _SETUP + _ORDER, str(COUNT)).strip()
    words = [sys.executable, "-c", _SETUP + _CARRY_OUT, operation]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    seen = 0
    for _ in range(2):
        worker = subprocess.Popen(words, cwd=ROOT, env=kept | environment, stdout=subprocess.DEVNULL)
        wait_until(
            lambda seen=seen, worker=worker: entries(postgresql_url) > seen or worker.poll() is not None,  # type: ignore[misc]
            what="some are revoked",
        )
        worker.send_signal(signal.SIGKILL)
        worker.wait(60)
        seen = entries(postgresql_url)
        assert seen % 10 == 0, "a chunk is revoked as a whole or not at all"
    said = json.loads(call(environment, "-c", _SETUP + _CARRY_OUT, operation))
    assert said == [COUNT, True, COUNT, 1]  # verify_journal yields the last entry alone where nothing is broken
    assert entries(postgresql_url) == COUNT
