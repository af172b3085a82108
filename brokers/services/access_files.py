"""The access log as files: one of each whole day (UTC) and domain, and how long lines and files are kept.

`GATEHOUSE_HOME/access-log/<domain>/<date>.ndjson.gz`, one JSON object a line. A day's file is made from the table, half
an hour after the day has ended, and anew when lines of it came later; lines leave the table only after that, by days.
What comes later still is added to what the file has.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import sleep

from django.db import connection
from django.db.models import F, Max
from django.db.models.functions import TruncDate

from brokers import models
from brokers.conf import access_file_days, access_log_days, access_log_root
from brokers.core.access.lines import line_document
from brokers.queries import access_file, access_folder
from devices import queries as devices
from devices.core.values import Domain
from kernel.core.errors import Unavailable
from kernel.services.alone import alone

_GRACE = timedelta(minutes=30)
_USE_KEPT = timedelta(days=400)
_AT_ONCE = 5_000
_REST_SECONDS = 0.05
_TRIES = 1_200
_WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation = %s::regclass AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
"""


class StillWriting(Unavailable):
    """A transaction that writes lines does not end."""

    code = "access-log-busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """How many files were made and removed, and how many lines left the table."""

    made: int
    removed: int
    forgotten: int


def roll_access_log(*, now: datetime) -> Rolled:
    """Makes the files that are due, and forgets what was kept long enough. Repeating it does no harm.

    While another does it, nothing is done. What dies in the middle is done anew: no line is lost, and none is twice.
    Raises StillWriting.
    """
    ended = (now - _GRACE).astimezone(UTC).date()
    files_from = now.date() - timedelta(days=access_file_days())
    lines_from = min((now - timedelta(days=access_log_days())).date(), ended)
    made = removed = forgotten = 0
    access_log_root().mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(access_log_root() / ".lock") as is_alone:
        if not is_alone:
            return Rolled(made=0, removed=0, forgotten=0)
        newest = _note_days()
        for domain in devices.list_domains():
            for row in _to_make(domain, since=files_from, before=ended):
                _make_file(domain, row)
                made += 1
            removed += _remove_files(domain, before=files_from)
            forgotten += _forget_lines(domain, before=lines_from, newest=newest)
        models.AccessFile.objects.filter(day__lt=min(files_from, lines_from)).delete()
    for kept in (models.RuleUse, models.DeniedAttempt, models.HeardDay):
        kept.objects.filter(day__lt=(now - _USE_KEPT).date()).delete()
    models.LogPlace.objects.filter(at__lt=now - _USE_KEPT).delete()
    return Rolled(made=made, removed=removed, forgotten=forgotten)


def _note_days() -> int:
    """The id of the last line there is: each day that has new ones up to it is noted, or none is."""
    newest = _newest_line()
    known = models.AccessFile.objects.aggregate(Max("newest"))["newest__max"] or 0
    new = models.AccessEvent.objects.filter(id__gt=known, id__lte=newest).order_by()
    days = new.values_list("domain_id", TruncDate("at", tzinfo=UTC)).annotate(Max("id"))
    models.AccessFile.objects.bulk_create(
        [models.AccessFile(domain_id=domain, day=day, newest=last) for domain, day, last in days],
        update_conflicts=True,
        unique_fields=["domain_id", "day"],
        update_fields=["newest"],
    )
    return newest


def _newest_line() -> int:
    """The id of the last line there is. Every line with a lower one is seen: who still writes any is waited for.

    Raises StillWriting after a minute.
    """
    newest: int = models.AccessEvent.objects.aggregate(Max("id"))["id__max"] or 0
    writing, tries = _writers(), _TRIES
    while writing:
        if not tries:
            raise StillWriting("Something has been writing to the access log for a minute: the next hour tries again.")
        tries -= 1
        sleep(_REST_SECONDS)
        writing &= _writers()
    return newest


def _writers() -> set[str]:
    """Transactions of others that have written lines, and have not ended yet; SQLite has one writer at a time."""
    if connection.vendor != "postgresql":
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS, [models.AccessEvent._meta.db_table])  # noqa: SLF001  (Django documents it)
        return {transaction for (transaction,) in cursor.fetchall()}


def _to_make(domain: Domain, *, since: date, before: date) -> Iterator[models.AccessFile]:
    """Days that have lines which their file has not: it is not made yet, they came late, or it was lost."""
    rows = models.AccessFile.objects.filter(domain_id=domain.id, day__gte=since, day__lt=before, left__lt=F("newest"))
    for row in rows.order_by("day"):
        if row.made < row.newest or not access_file(domain=domain.slug, day=row.day).exists():
            yield row


def _make_file(domain: Domain, row: models.AccessFile) -> None:
    """What was begun and not ended leaves no file of that name, or the one that was there."""
    path = access_file(domain=domain.slug, day=row.day)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = models.AccessEvent.objects.filter(
        domain_id=domain.id, at__gte=_midnight(row.day), at__lt=_midnight(row.day + timedelta(days=1))
    ).filter(id__gt=row.left, id__lte=row.newest)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".making-")
    try:
        with os.fdopen(handle, "wb") as raw:
            if row.octets and path.exists():
                with path.open("rb") as before:
                    shutil.copyfileobj(before, raw)
                raw.truncate(row.octets)
                raw.seek(row.octets)
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
                for event in lines.order_by("at", "id").iterator(_AT_ONCE):
                    line = json.dumps(line_document(event.as_value()), ensure_ascii=True)
                    file.write(f"{line}\n".encode())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    row.made = row.newest
    row.save(update_fields=["made"])


def _remove_files(domain: Domain, *, before: date) -> int:
    removed = 0
    for path in access_folder(domain=domain.slug).glob("*.ndjson.gz"):
        if path.name < before.isoformat():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _forget_lines(domain: Domain, *, before: date, newest: int) -> int:
    """How many lines of days before that one left, up to that id. Their files have them, if they are kept so long."""
    for row in models.AccessFile.objects.filter(domain_id=domain.id, day__lt=before, left__lt=F("newest")):
        path = access_file(domain=domain.slug, day=row.day)
        row.left, row.octets = row.newest, path.stat().st_size if path.exists() else 0
        row.save(update_fields=["left", "octets"])
    forgotten = 0
    old = models.AccessEvent.objects.filter(domain_id=domain.id, at__lt=_midnight(before), id__lte=newest)
    while some := list(old.order_by("at").values_list("pk", flat=True)[:_AT_ONCE]):
        forgotten += models.AccessEvent.objects.filter(pk__in=some).delete()[0]
    return forgotten


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
