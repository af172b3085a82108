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

from django.db.models import QuerySet

from brokers import models
from brokers.conf import access_file_days, access_log_days
from brokers.core.access.lines import line_document
from brokers.queries import access_file, access_folder
from devices import queries as devices
from devices.core.values import Domain

_GRACE = timedelta(minutes=30)
_USE_KEPT = timedelta(days=400)
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """How many files were made and removed, and how many lines left the table."""

    made: int
    removed: int
    forgotten: int


def roll_access_log(*, now: datetime) -> Rolled:
    """Makes the files that are due, and forgets what was kept long enough. Repeating it does no harm."""
    made = removed = forgotten = 0
    ended = (now - _GRACE).astimezone(UTC).date()
    for domain in devices.list_domains():
        for day in _days_to_make(domain, before=ended):
            _make_file(domain, day)
            made += 1
        removed += _remove_files(domain, before=now.date() - timedelta(days=access_file_days()))
        forgotten += _forget_lines(domain, before=min((now - timedelta(days=access_log_days())).date(), ended))
    for kept in (models.RuleUse, models.DeniedAttempt, models.HeardDay):
        kept.objects.filter(day__lt=(now - _USE_KEPT).date()).delete()
    models.AccessFile.objects.filter(day__lt=(now - timedelta(days=access_file_days())).date()).delete()
    models.LogPlace.objects.filter(at__lt=now - _USE_KEPT).delete()
    return Rolled(made=made, removed=removed, forgotten=forgotten)


def _days_to_make(domain: Domain, *, before: date) -> Iterator[date]:
    """Days that have no file, or more lines than it has: those came late."""
    made = dict(models.AccessFile.objects.filter(domain_id=domain.id).values_list("day", "lines"))
    oldest = models.AccessEvent.objects.filter(domain_id=domain.id).order_by("at").values_list("at", flat=True).first()
    day = oldest.astimezone(UTC).date() if oldest else before
    while day < before:
        lines = _lines_of(domain, day).count()
        if lines > made.get(day, 0) or (lines and not access_file(domain=domain.slug, day=day).exists()):
            yield day
        day += timedelta(days=1)


def _lines_of(domain: Domain, day: date) -> QuerySet[models.AccessEvent]:
    begin = _midnight(day)
    return models.AccessEvent.objects.filter(domain_id=domain.id, at__gte=begin, at__lt=begin + timedelta(days=1))


def _make_file(domain: Domain, day: date) -> None:
    """What was begun and not ended leaves no file of that name, or the one that was there."""
    lines, files = 0, models.AccessFile.objects
    path = access_file(domain=domain.slug, day=day)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".making-")
    try:
        with os.fdopen(handle, "wb") as raw:
            if path.exists() and files.filter(domain_id=domain.id, day=day, has_left=True).exists():
                with path.open("rb") as before:
                    shutil.copyfileobj(before, raw)
            with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
                for row in _lines_of(domain, day).order_by("at", "id").iterator(_AT_ONCE):
                    lines += 1
                    line = json.dumps(line_document(row.as_value()), ensure_ascii=True)
                    file.write(f"{line}\n".encode())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    files.update_or_create(domain_id=domain.id, day=day, defaults={"lines": lines})


def _remove_files(domain: Domain, *, before: date) -> int:
    removed = 0
    for path in access_folder(domain=domain.slug).glob("*.ndjson.gz"):
        if path.name < before.isoformat():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _forget_lines(domain: Domain, *, before: date) -> int:
    forgotten = 0
    models.AccessFile.objects.filter(domain_id=domain.id, day__lt=before).update(has_left=True, lines=0)
    while True:
        old = models.AccessEvent.objects.filter(domain_id=domain.id, at__lt=_midnight(before)).order_by("at")
        some = list(old.values_list("pk", flat=True)[:_AT_ONCE])
        if not some:
            return forgotten
        forgotten += models.AccessEvent.objects.filter(pk__in=some).delete()[0]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
