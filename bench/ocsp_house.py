"""An installation on PostgreSQL whose issuing CA has a million certificates, put there by COPY."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from cryptography import x509

from bench.loading import cpu_seconds
from tests.e2e.house import House, free_port

ROOT = Path(__file__).resolve().parents[1]
_COLUMNS = (
    "id", "domain_id", "issuer_id", "serial", "holder", "profile", "profile_version", "state", "subject",
    "public_key_sha256", "key_kind", "der", "fingerprint", "not_before", "not_after", "requested_at", "reason", "note",
)  # fmt: skip


@dataclass
class Million:
    """The house, its issuing CA's certificate, and the serial numbers that stand there."""

    house: House
    database: str
    slug: str
    issuer: x509.Certificate
    serials: list[int] = field(default_factory=list)

    def grow(self, size: int) -> None:
        """Certificates up to that number, a day old; without octets of their own, which OCSP never reads."""
        row = uuid.UUID(int=int((time.time() - 86_400) * 1000) << 80).int
        now, more = datetime.now(UTC), []
        with psycopg.connect(self.database) as session, session.cursor() as cursor:
            cursor.execute("SELECT id, domain_id FROM pki_issuer WHERE slug = %s", (self.slug,))
            found = cursor.fetchone()
            assert found
            copying = f"COPY pki_certificate ({', '.join(_COLUMNS)}) FROM STDIN"
            with cursor.copy(copying) as copy:
                for number in range(len(self.serials), size):
                    serial = 1 << 158 | random.getrandbits(158)
                    more.append(serial)
                    name = f"{serial:040x}"
                    copy.write_row(
                        (
                            uuid.UUID(int=row + (number << 16)), found[1], found[0], name, f"device:{number}", "device",
                            0, "issued", f"CN={number}", name, "", b"\x30\x00", name, now - timedelta(days=1),
                            now + timedelta(days=300), now - timedelta(days=1), "", "",
                        )
                    )  # fmt: skip
        with psycopg.connect(self.database, autocommit=True) as session:
            session.execute("ANALYZE pki_certificate")
        self.serials += more

    def prepare(self) -> dict[str, float]:
        """Makes the edition as the task does, in runs of half a minute; seconds of CPU, runs and megabytes."""
        for old in (self.house.home / "ocsp").glob("*"):
            old.unlink()
        cpu, runs, state = 0.0, 0, ""
        while state not in {"finished", "not needed"}:
            said = self.run_python(_PREPARE.format(slug=self.slug))
            state, used = said.split("|")
            cpu, runs = cpu + float(used), runs + 1
        size = sum(each.stat().st_size for each in (self.house.home / "ocsp").glob("*.edition"))
        return {"cpu_seconds": round(cpu, 1), "runs": runs, "megabytes": round(size / 1e6, 1)}

    def run_python(self, program: str) -> str:
        """What a program prints last that runs with the house's settings."""
        words = [sys.executable, "-c", SETUP + program]
        done = subprocess.run(
            words, cwd=ROOT, env=self.house.environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip().splitlines()[-1]


SETUP = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'console.settings'; django.setup()\n"
_PREPARE = """
import time
from pki import queries, services
from kernel.core.clock import utc_now
state = services.prepare_ocsp_answers(issuer=queries.find_issuer(slug={slug!r}).id, now=utc_now(), seconds=30)
print(f"{{state}}|{{time.process_time()}}")
"""


def found_house(folder: Path, database: str) -> Million:
    """A fresh installation."""
    house = House(folder / "home", servers={"DATABASE_URL": database})
    house.home.mkdir(parents=True, mode=0o700)
    facts = json.loads(house.manage("quickstart", "--json"))
    slug = facts["issuer"]
    with psycopg.connect(database) as session:
        row = session.execute("SELECT der FROM pki_issuer WHERE slug = %s", (slug,)).fetchone()
    assert row
    return Million(house, database, slug, x509.load_der_x509_certificate(row[0]))


@contextlib.contextmanager
def web(environment: dict[str, str], words: list[str], port: int, *, cwd: Path = ROOT) -> Iterator[int]:
    """The process of a server that listens on `port` while the block runs."""
    server = subprocess.Popen(
        words, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        ends_at = time.monotonic() + 60
        while not _listens(port):
            assert server.poll() is None, f"{words[:4]} ended"
            assert time.monotonic() < ends_at, f"{words[:4]} does not listen"
            time.sleep(0.1)
        yield server.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        server.wait(20)


def memory_megabytes(process: int) -> float:
    """Proportional set size of the process and those below it."""
    total, found = 0, [process]
    for each in found:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return total / 1000


def _listens(port: int) -> bool:
    """Whether somebody does; without a connection, at which `openssl ocsp` would wait for ever."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


__all__ = ["SETUP", "Million", "cpu_seconds", "found_house", "free_port", "memory_megabytes", "web"]
