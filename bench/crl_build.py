"""What `bench/crl.py` runs in processes of their own: filling a database with revoked certificates, and building CRLs.

`python -m bench.crl_build prepare`, `fill FROM TO INDEX`, `build`: each prints a JSON object.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

import psycopg  # noqa: E402 - after django.setup()
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from kernel.core.actor import SYSTEM  # noqa: E402
from kernel.core.ids import DomainId, new_id  # noqa: E402
from pki import services  # noqa: E402
from pki.core.crl import encode_entry  # noqa: E402
from pki.core.values import CrlKind, IssuerId, ReasonCode, serial_hex  # noqa: E402
from pki.models import Certificate, Crl, Issuer  # noqa: E402
from pki.queries.crl_entries import RevokedEntries, read_revoked  # noqa: E402
from pki.services.crl_editions import Press, read_standing  # noqa: E402
from pki.services.custody import signing_key  # noqa: E402

RUNS = 5
SHARDS = 128
CHANGED = 1_000
"""So many of the revocations are newer than the base of the delta."""
_DER_OCTETS = 600
_FIELDS = Certificate._meta.concrete_fields  # noqa: SLF001 - Django's own way to the columns
_REASONS = (ReasonCode.UNSPECIFIED, ReasonCode.KEY_COMPROMISE, ReasonCode.SUPERSEDED)
settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"


def prepare() -> dict[str, Any]:
    """A root, which the rows will be of."""
    now = datetime.now(UTC)
    root = services.create_root(domain=DomainId(new_id()), slug="bench", common_name="Bench", actor=SYSTEM, now=now)
    Issuer.objects.filter(id=root.id).update(crl_shards=SHARDS)
    return {"certificate": root.certificate_pem}


def fill(first: int, end: int, index: Path) -> dict[str, Any]:
    """Rows for the revocations `first` to `end`, and the same as lines of openssl's index."""
    issuer, began = Issuer.objects.get(slug="bench"), time.monotonic()
    at, until = issuer.not_before, issuer.not_before + timedelta(days=365)
    randomness = random.Random(first)
    connection.ensure_connection()
    names = ", ".join(_columns())
    with (
        psycopg.Cursor(connection.connection) as cursor,
        cursor.copy(f"COPY pki_certificate ({names}) FROM STDIN") as copy,
        index.open("a") as lines,
    ):
        for number in range(first, end):
            reason = _REASONS[number % 3]
            serial = 1 << 158 | randomness.getrandbits(158)
            der = randomness.randbytes(_DER_OCTETS)
            copy.write_row(_row(issuer, number, serial, reason, at=at, until=until, der=der))
            why = "" if reason is ReasonCode.UNSPECIFIED else f",{reason.value}"
            times = f"{until:%y%m%d%H%M%SZ}\t{at:%y%m%d%H%M%SZ}"
            lines.write(f"R\t{times}{why}\t{serial_hex(serial).upper()}\tunknown\t/CN={number}\n")
    Issuer.objects.filter(id=issuer.id).update(revision=end)
    with connection.cursor() as session:
        session.execute("VACUUM ANALYZE pki_certificate")
    return {"fill_seconds": round(time.monotonic() - began, 1)}


def _columns() -> list[str]:
    return [str(field.column) for field in _FIELDS]


def _row(
    issuer: Issuer, number: int, serial: int, reason: ReasonCode, *, at: datetime, until: datetime, der: bytes
) -> list[Any]:
    id = new_id()
    row = Certificate(
        id=id,
        domain_id=issuer.domain_id,
        issuer_id=issuer.id,
        serial=serial_hex(serial),
        holder=f"device:{id}",
        profile="device",
        shard=serial % SHARDS,
        state="revoked",
        subject=f"CN=pump-{number}",
        public_key_sha256=f"{number:064x}",
        der=der,
        fingerprint=f"{number:064x}",
        not_before=at,
        not_after=until,
        requested_at=at,
        revoked_at=at,
        reason=reason,
        crl_entry=encode_entry(serial=serial, revoked_at=at, reason=reason),
        changed_revision=number + 1,
    )
    return [getattr(row, field.attname) for field in _FIELDS]


def build() -> dict[str, Any]:
    """Medians in seconds, and the peak of this process's memory in MB, all the while and before the first CRL."""
    before = _peak_mb()
    issuer = Issuer.objects.get(slug="bench")
    _age(issuer)
    backend, cpu = _backend(), []

    def publish() -> None:
        began = time.process_time() + _cpu_of(backend)
        services.publish_crl(issuer=IssuerId(issuer.id), now=datetime.now(UTC))
        cpu.append(time.process_time() + _cpu_of(backend) - began)

    whole = _median(publish, first=_revoke_one)
    peak = _peak_mb()
    now = datetime.now(UTC)
    issuer.refresh_from_db()
    standing = read_standing(issuer, now=now)
    assert standing.base is not None
    base, press = standing.base, Press(issuer, standing, key=signing_key(issuer), now=now, revision=issuer.revision)

    def read() -> RevokedEntries:
        return read_revoked(issuer=IssuerId(issuer.id), still_valid_at=now, base_revision=base.revision)

    shards = read().shards
    entries = sum(each.listed_count for each in shards)
    return {
        "entries": entries,
        "publish_seconds": whole,
        "publish_cpu_seconds": round(statistics.median(cpu), 3),
        "read_seconds": _median(read),
        "sign_and_check_seconds": _median(lambda: press.full([each.listed for each in shards], entries)),
        "shard_entries": shards[0].listed_count,
        "shard_seconds": _median(lambda: press.shard(0, shards[:1])),
        "delta_entries": sum(each.changed_count for each in shards),
        "delta_seconds": _median(lambda: press.delta(base, shards)),
        "peak_mb": peak,
        "before_mb": before,
    }


def _age(issuer: Issuer) -> None:
    """One edition of everything, whose delta begins two days ago, a thousand revocations before this one."""
    first = Crl.objects.filter(issuer=issuer, kind=CrlKind.FULL).order_by("number").first()
    assert first is not None
    first.revision = issuer.revision - min(CHANGED, issuer.revision // 2)
    first.this_update -= timedelta(days=2)
    first.save(update_fields=["revision", "this_update"])
    services.publish_crl(issuer=IssuerId(issuer.id), now=datetime.now(UTC), force=True)


def _revoke_one() -> None:
    """As a revocation leaves it: one row newer than the newest CRLs."""
    issuer = Issuer.objects.get(slug="bench")
    Issuer.objects.filter(id=issuer.id).update(revision=issuer.revision + 1)
    newest = Certificate.objects.filter(issuer=issuer, changed_revision=issuer.revision)
    assert newest.update(changed_revision=issuer.revision + 1) == 1


def _median(work: Callable[[], object], *, first: Callable[[], object] = lambda: None) -> float:
    """Seconds that `work` takes, of five runs; `first` comes before each, and is not counted."""
    found = []
    for _ in range(RUNS):
        first()
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return round(statistics.median(found), 4)


def _backend() -> int:
    """The process of PostgreSQL that works for this one."""
    with connection.cursor() as session:
        session.execute("SELECT pg_backend_pid()")
        return int(session.fetchone()[0])


def _cpu_of(process: int) -> float:
    """Seconds that it has been at work, to the hundredth."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(words: list[str]) -> None:
    """One step, by its name."""
    match words:
        case ["prepare"]:
            said = prepare()
        case ["fill", first, end, index]:
            said = fill(int(first), int(end), Path(index))
        case _:
            said = build()
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
