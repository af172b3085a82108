"""Looking an installation over: what `manage.py doctor` says. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.core import checks
from django.db import connection

from brokers import queries as brokers
from brokers.core.values import SyncState
from console.findings import open_findings
from devices import queries as devices
from kernel import queries as journal
from kernel.core.errors import DomainError
from kernel.core.findings import Severity
from kernel.core.journal import Break
from pki.services.inspect_keys import check_keys

CLOCK_TOLERANCE = timedelta(seconds=5)
PATIENCE = timedelta(minutes=1)
FAILURES_SHOWN_FOR = timedelta(days=7)


class Level(StrEnum):
    """How bad it is. Only errors make `doctor` end with exit code 1."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that was looked at, how it stands, and what to do about it."""

    check: str
    level: Level
    text: str


Check = Callable[[datetime], Iterator[Observation]]


def look_over(*, now: datetime, whole_journal: bool = False) -> list[Observation]:
    """Every check in turn; one that can not be made is an error of its own."""
    chosen = [*CHECKS, ("journal", _whole_journal)] if whole_journal else CHECKS
    found: list[Observation] = []
    for name, check in chosen:
        seen: list[Observation] = []
        try:
            seen.extend(check(now))
        except Exception as error:  # noqa: BLE001 - whatever hinders a check is what the operator has to hear of
            detail = error.detail if isinstance(error, DomainError) else f"{type(error).__name__}: {error}"
            seen.append(Observation(check=name, level=Level.ERROR, text=f"could not be checked: {detail}"))
        found.extend(seen or [Observation(check=name, level=Level.OK, text="as it should be")])
    return found


def _settings(_now: datetime) -> Iterator[Observation]:
    for message in checks.run_checks():
        level = Level.ERROR if message.is_serious() else Level.WARNING
        yield Observation(check="settings", level=level, text=f"{message.id}: {message.msg}")


def _database(_now: datetime) -> Iterator[Observation]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if settings.REDIS_URL and connection.vendor == "sqlite":
        text = "Redis is set and the database is SQLite: several machines can not share it, set DATABASE_URL."
        yield Observation(check="database", level=Level.WARNING, text=text)


def _keys(_now: datetime) -> Iterator[Observation]:
    if not journal.seal_fits():
        text = (
            "The master key is not the one that this installation was made with: CA keys and stored secrets stay "
            "closed. Start with the right GATEHOUSE_MASTER_KEY."
        )
        yield Observation(check="keys", level=Level.ERROR, text=text)
    for facts in check_keys():
        if facts.fault:
            text = f"The key of {facts.purpose} ({facts.custody}) does not sign: {facts.fault}"
            yield Observation(check="keys", level=Level.ERROR, text=text)
    for name in ("master.key", "secret.key"):
        path = Path(settings.GATEHOUSE_HOME) / name
        if path.exists() and path.stat().st_mode & 0o077:
            text = f"{path} may be read by others: chmod 600 it."
            yield Observation(check="keys", level=Level.ERROR, text=text)


def _clock(now: datetime) -> Iterator[Observation]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            apart = abs(cursor.fetchone()[0] - now)
        if apart > CLOCK_TOLERANCE:
            text = f"This machine and the database are {apart.total_seconds():.0f} s apart: let both follow NTP."
            yield Observation(check="clock", level=Level.ERROR, text=text)
    newest = journal.list_entries(limit=1)
    if newest and newest[0].at > now + CLOCK_TOLERANCE:
        text = f"The newest journal entry is of {newest[0].at:%Y-%m-%d %H:%M:%S} UTC: this clock is behind."
        yield Observation(check="clock", level=Level.ERROR, text=text)


_FINDING_LEVELS = {
    Severity.CRITICAL: Level.ERROR,
    Severity.ERROR: Level.ERROR,
    Severity.WARNING: Level.WARNING,
}


def _findings(now: datetime) -> Iterator[Observation]:
    for finding in open_findings(domains=None, now=now):
        if level := _FINDING_LEVELS.get(finding.severity):
            about = f"{finding.subject.label}: " if finding.subject.label else ""
            text = f"{finding.code}: {about}{finding.detail} {finding.remedy}"
            yield Observation(check="findings", level=level, text=text)


_BROKER_LEVELS = {
    SyncState.UNREACHABLE: Level.ERROR,
    SyncState.DRIFT: Level.WARNING,
    SyncState.UNKNOWN: Level.WARNING,
}


def _brokers(now: datetime) -> Iterator[Observation]:
    for broker in brokers.list_brokers(domains=[domain.id for domain in devices.list_domains()]):
        if level := _BROKER_LEVELS.get(broker.sync):
            text = f"{broker.name} is {broker.sync}. {broker.detail}".strip()
            yield Observation(check="brokers", level=level, text=text)
        elif broker.checked_at is not None and broker.checked_at < now - 5 * PATIENCE:
            text = f"{broker.name} was last looked at {broker.checked_at:%Y-%m-%d %H:%M} UTC: is a worker running?"
            yield Observation(check="brokers", level=Level.WARNING, text=text)


def _queue(_now: datetime) -> Iterator[Observation]:
    with current_app.connection_for_write() as link:
        link.ensure_connection(max_retries=1, timeout=3)
    yield from ()


def _work(now: datetime) -> Iterator[Observation]:
    backlog = journal.find_backlog(now=now, patience=PATIENCE, failed_since=now - FAILURES_SHOWN_FOR)
    if backlog.overdue:
        text = f"{backlog.overdue} steps wait for a worker, the oldest since {backlog.oldest_at:%Y-%m-%d %H:%M:%S} UTC."
        yield Observation(check="work", level=Level.ERROR, text=text)
    if backlog.failed:
        text = f"{backlog.failed} steps were given up in the last seven days: the journal shows which."
        yield Observation(check="work", level=Level.WARNING, text=text)
    if untold := devices.count_untold(now=now - PATIENCE):
        text = f"{untold} bindings began or ended more than a minute ago, and brokers were not told: is beat running?"
        yield Observation(check="work", level=Level.ERROR, text=text)


def _whole_journal(_now: datetime) -> Iterator[Observation]:
    for found in journal.verify_journal():
        if isinstance(found, Break):
            yield Observation(check="journal", level=Level.ERROR, text=f"entry {found.seq}: {found.what}")


CHECKS: Sequence[tuple[str, Check]] = (
    ("settings", _settings),
    ("database", _database),
    ("keys", _keys),
    ("clock", _clock),
    ("findings", _findings),
    ("brokers", _brokers),
    ("queue", _queue),
    ("work", _work),
)
