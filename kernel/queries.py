"""Reading the journal and what follows from its entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kernel.conf import master_key
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import SEAL_PURPOSE, Break, Entry, StepState, seal, verify_chain
from kernel.core.secrets import same
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


def verify_journal() -> Iterator[Break | Entry]:
    """Every break of the chain, the missing end included, and last of all the last entry, if any."""
    head = JournalHead.objects.filter(id=1).first()
    last: Entry | None = None
    for found in verify_chain(row.as_value() for row in JournalEntry.objects.order_by("seq").iterator(2000)):
        if isinstance(found, Entry):
            last = found
        else:
            yield found
    yield from _check_end(head, last)
    if last is not None:
        yield last


def _check_end(head: JournalHead | None, last: Entry | None) -> Iterator[Break]:
    if head is None or last is None:
        if head is not None and head.seq:
            yield Break(seq=1, what=f"entries 1 to {head.seq} are missing")
        elif last is not None:
            yield Break(seq=last.seq, what="the journal has entries and no recorded end")
        return
    if head.seq > last.seq:
        yield Break(seq=last.seq + 1, what=f"entries {last.seq + 1} to {head.seq} are missing")
    elif head.seq < last.seq or not same(bytes(head.digest), last.digest):
        yield Break(seq=last.seq, what="is not the entry that was recorded as the last")
    expected = seal(master_key().derive(SEAL_PURPOSE), seq=head.seq, digest=bytes(head.digest))
    if not same(bytes(head.seal), expected):
        yield Break(seq=head.seq, what="the seal of the chain's end was not made with this installation's key")
