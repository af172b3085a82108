"""Reading the journal and what follows from its entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet, Subquery
from django.db.models.functions import Coalesce

from kernel.conf import master_key
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import SEAL_PURPOSE, Break, Entry, StepState, seal, verify_chain
from kernel.core.secrets import MasterKey, id_of_key, same
from kernel.models import JournalEntry, JournalHead, Wakeup


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStep:
    """One consequence of an operation as its watcher sees it. `elapsed_ms` counts from the operation's start."""

    target: str
    state: StepState
    finished_at: datetime | None
    elapsed_ms: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An entry and how far its consequences have come."""

    id: EntryId
    domain: DomainId | None
    action: str
    state: StepState
    started_at: datetime
    steps: tuple[OperationStep, ...]


def find_operation(*, operation: EntryId) -> Operation | None:
    """The operation of that id, or None."""
    entry = JournalEntry.objects.filter(id=operation).first()
    if entry is None:
        return None
    steps = tuple(_step(row, entry) for row in Wakeup.objects.filter(entry=entry).order_by("pk"))
    return Operation(
        id=EntryId(entry.id),
        domain=DomainId(entry.domain_id) if entry.domain_id else None,
        action=entry.action,
        state=_state_of(steps),
        started_at=entry.at,
        steps=steps,
    )


def open_operation(*, order_key: str) -> EntryId | None:
    """The first operation with a step of that order key that is not over, or None."""
    found = Wakeup.objects.open().filter(order_key=order_key).order_by("pk").values_list("entry__id", flat=True).first()
    return EntryId(found) if found else None


def _step(row: Wakeup, entry: JournalEntry) -> OperationStep:
    elapsed = int((row.finished_at - entry.at).total_seconds() * 1000) if row.finished_at else None
    return OperationStep(
        target=row.target,
        state=StepState(row.state),
        finished_at=row.finished_at,
        elapsed_ms=elapsed,
        detail=row.detail,
    )


def _state_of(steps: Sequence[OperationStep]) -> StepState:
    states = {step.state for step in steps}
    if states <= {StepState.DONE}:
        return StepState.DONE
    if states & {StepState.RUNNING}:
        return StepState.RUNNING
    if states & {StepState.PENDING}:
        return StepState.RUNNING if states - {StepState.PENDING} else StepState.PENDING
    return StepState.FAILED


def list_entries(
    *,
    domain: DomainId | None = None,
    subject_kind: str = "",
    subject_id: str = "",
    before_seq: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """The newest entries first, at most `limit`, older than `before_seq`."""
    rows = JournalEntry.objects.order_by("-seq")
    if domain is not None:
        rows = rows.filter(domain_id=domain)
    if subject_kind:
        rows = rows.filter(subject_kind=subject_kind, subject_id=subject_id)
    if before_seq is not None:
        rows = rows.filter(seq__lt=before_seq)
    return [row.as_value() for row in rows[:limit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What should have happened by now: wake-ups that no worker took up, and those that were given up."""

    overdue: int
    oldest_at: datetime | None
    failed: int


def find_backlog(*, now: datetime, patience: timedelta, failed_since: datetime) -> Backlog:
    """Wake-ups that have been waiting for a worker for longer than `patience`, and failures since `failed_since`."""
    overdue = Wakeup.objects.claimable(now=now).filter(held_until=None, entry__at__lt=now - patience)
    oldest = overdue.order_by("pk").values_list("entry__at", flat=True).first()
    failed = Wakeup.objects.filter(state=StepState.FAILED, finished_at__gte=failed_since).count()
    return Backlog(overdue=overdue.count() if oldest else 0, oldest_at=oldest, failed=failed)


def seal_fits() -> bool:
    """Whether the journal's end was sealed with a master key that we run with; True for an empty journal."""
    head = JournalHead.objects.filter(id=1).first()
    return head is None or not head.seq or not list(_check_seal(head))


def verify_journal() -> Iterator[Break | Entry]:
    """Every break of the chain, the missing end included, and last of all the last entry, if any.

    Entries that are appended meanwhile are not looked at: the recorded end is read first.
    """
    head = JournalHead.objects.filter(id=1).first()
    end = head.seq if head else 0
    last: Entry | None = None
    rows = JournalEntry.objects.filter(seq__lte=end).order_by("seq")
    for found in verify_chain(row.as_value() for row in rows.iterator(2000)):
        if isinstance(found, Entry):
            last = found
        else:
            yield found
    if head is not None and head.seq:
        yield from _check_end(head, last)
    yield from _check_beyond()
    if last is not None:
        yield last


def _check_end(head: JournalHead, last: Entry | None) -> Iterator[Break]:
    reached = last.seq if last else 0
    if reached < head.seq:
        yield Break(seq=reached + 1, what=f"entries {reached + 1} to {head.seq} are missing")
    elif last is not None and not same(bytes(head.digest), last.digest):
        yield Break(seq=head.seq, what="is not the entry that was recorded as the last")
    yield from _check_seal(head)


def seal_is_current() -> bool:
    """Whether the journal's end was sealed with the current master key; True for an empty journal."""
    head = JournalHead.objects.filter(id=1).first()
    return head is None or not head.seq or _is_sealed(head, master_key().current)


def _is_sealed(head: JournalHead, key: MasterKey) -> bool:
    expected = seal(key.derive(SEAL_PURPOSE), seq=head.seq, digest=bytes(head.digest))
    return same(bytes(head.seal), expected)


def _check_seal(head: JournalHead) -> Iterator[Break]:
    if not any(_is_sealed(head, key) for key in master_key().all):
        yield Break(seq=head.seq, what="the seal of the chain's end was not made with this installation's key")


def _check_beyond() -> Iterator[Break]:
    """What stands behind the recorded end, by one statement: an append changes both at once."""
    end = Coalesce(Subquery(JournalHead.objects.filter(id=1).values("seq")), 0)
    for row in JournalEntry.objects.filter(seq__gt=end).order_by("seq")[:1]:
        yield Break(seq=row.seq, what="stands behind the recorded end of the journal")


def iterate_entries(*, after_seq: int = 0) -> Iterator[Entry]:
    """All entries behind `after_seq` by rising seq, read in pieces."""
    for row in JournalEntry.objects.filter(seq__gt=after_seq).order_by("seq").iterator(2000):
        yield row.as_value()


def journal_end() -> int:
    """The number of the newest entry, 0 for an empty journal."""
    return JournalHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0


def entries_between(*, after: int, until: int) -> list[Entry]:
    """The entries behind `after` up to and with `until`, by rising seq."""
    return [row.as_value() for row in JournalEntry.objects.filter(seq__gt=after, seq__lte=until).order_by("seq")]


def unknown_master_keys(*, rows: QuerySet[Any], column: str) -> set[str]:
    """The ids (hex) of master keys that envelopes in this column hang on, and that are not known here."""
    envelopes = rows.exclude(**{column: None}).order_by().values_list(column, flat=True)
    return {id_of_key(bytes(envelope)) for envelope in envelopes if not master_key().knows(bytes(envelope))} - {""}
