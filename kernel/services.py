"""Writing the journal, and carrying its wake-ups through to their end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from celery import current_app
from django.db import connection, transaction
from django.db.models import F

from kernel.conf import master_key, router
from kernel.core.actor import Actor
from kernel.core.errors import DomainError, Unavailable
from kernel.core.ids import DomainId, EntryId, new_id
from kernel.core.journal import GENESIS, SEAL_PURPOSE, Entry, StepState, Subject, entry_digest, seal
from kernel.models import JournalEntry, JournalHead, Wakeup

log = logging.getLogger(__name__)

RESEND_AFTER = timedelta(seconds=3)
MAX_ATTEMPTS = 12


def record(
    *,
    action: str,
    subject: Subject,
    actor: Actor,
    now: datetime,
    domain: DomainId | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    note: str = "",
) -> Entry:
    """The entry appended to the journal, with its wake-ups, inside the caller's transaction.

    Call it last in the transaction: the end of the chain stays locked until the commit.
    `before` and `after` are small JSON objects and never hold a secret.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("record() belongs into the transaction of the change that it records")
    head = _locked_head()
    facts: dict[str, Any] = {
        "seq": head.seq + 1,
        "id": EntryId(new_id()),
        "at": now,
        "domain": domain,
        "actor": actor,
        "action": action,
        "subject": subject,
        "before": dict(before or {}),
        "after": dict(after or {}),
        "note": note,
        "previous": bytes(head.digest),
    }
    entry = Entry(**facts, digest=entry_digest(**facts))
    _row_of(entry).save(force_insert=True)
    head.seq, head.digest = entry.seq, entry.digest
    head.seal = seal(master_key().derive(SEAL_PURPOSE), seq=entry.seq, digest=entry.digest)
    head.save()
    _add_wakeups(entry, now=now)
    return entry


def _locked_head() -> JournalHead:
    JournalHead.objects.get_or_create(id=1, defaults={"digest": GENESIS, "seal": b""})
    return JournalHead.objects.select_for_update().get(id=1)


def _row_of(entry: Entry) -> JournalEntry:
    return JournalEntry(
        seq=entry.seq,
        id=entry.id,
        at=entry.at,
        domain_id=entry.domain,
        actor_kind=entry.actor.kind,
        actor_id=entry.actor.id,
        actor_label=entry.actor.label,
        actor_address=entry.actor.address,
        action=entry.action,
        subject_kind=entry.subject.kind,
        subject_id=entry.subject.id,
        subject_label=entry.subject.label,
        before=entry.before,
        after=entry.after,
        note=entry.note,
        previous=entry.previous,
        digest=entry.digest,
    )


def _add_wakeups(entry: Entry, *, now: datetime) -> None:
    rows = [
        Wakeup(
            entry_id=entry.seq,
            task=step.task,
            target=step.target,
            queue=step.queue,
            order_key=step.order_key,
            wake_at=now + RESEND_AFTER,
        )
        for step in router().steps_for(entry)
    ]
    for row in rows:
        row.save(force_insert=True)
    if rows:
        transaction.on_commit(lambda: _send_all(rows))


def _send_all(rows: Sequence[Wakeup]) -> None:
    for row in rows:
        send(row)


def send(wakeup: Wakeup) -> None:
    """Tells a worker of the row. A message that can not be sent is no loss: the sweep sends it again."""
    try:
        current_app.send_task(wakeup.task, kwargs={"wakeup": wakeup.pk}, queue=wakeup.queue, retry=False)
    except Exception:  # any transport error of any broker
        log.warning("wake-up %s was not sent; the sweep will", wakeup.pk, exc_info=True)


def sweep(*, now: datetime, limit: int = 200) -> int:
    """How many due wake-ups were sent (again): their message was lost, their worker died, or they asked to wait."""
    rows = list(Wakeup.objects.due(now=now)[:limit])
    Wakeup.objects.filter(pk__in=[row.pk for row in rows]).update(wake_at=now + RESEND_AFTER)
    for row in rows:
        send(row)
    return len(rows)


class Defer(Exception):
    """Raised by a wake-up's body that wants to be woken later; no attempt is counted."""

    def __init__(self, *, until: datetime, detail: str = "") -> None:
        super().__init__(detail)
        self.until = until
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """What a wake-up's body is given."""

    entry: Entry
    target: str
    attempt: int


Body = Callable[[Wake], str | None]


def run_wakeup(wakeup: int, *, body: Body, clock: Callable[[], datetime], lease: timedelta) -> StepState | None:
    """The state the wake-up is in afterwards; None if it was not for us to run (done, leased, or held back).

    `body` runs outside of any transaction, at least once; what it returns is the step's detail.
    """
    row = _claim(wakeup, now=clock(), lease=lease)
    if row is None:
        return None
    try:
        detail = body(Wake(entry=row.entry.as_value(), target=row.target, attempt=row.attempts)) or ""
    except Defer as wish:
        return _put_back(row, wake_at=wish.until, detail=wish.detail, counted=False)
    except Unavailable as error:
        wait = timedelta(seconds=min(0.5 * 2 ** min(row.attempts, 8), 2))
        return _put_back(row, wake_at=clock() + wait, detail=error.detail)
    except Exception as error:
        detail = error.detail if isinstance(error, DomainError) else f"{type(error).__name__}: see the worker's log"
        log.exception("wake-up %s (%s, %s) failed", row.pk, row.task, row.target)
        if row.attempts >= MAX_ATTEMPTS:
            return _finish(row, state=StepState.FAILED, detail=detail, now=clock())
        return _put_back(row, wake_at=clock() + timedelta(seconds=min(2**row.attempts, 300)), detail=detail)
    return _finish(row, state=StepState.DONE, detail=detail, now=clock())


def _claim(wakeup: int, *, now: datetime, lease: timedelta) -> Wakeup | None:
    token = uuid4()
    claimed = (
        Wakeup.objects.claimable(now=now)
        .filter(pk=wakeup)
        .update(
            state=StepState.RUNNING,
            lease=token,
            lease_until=now + lease,
            attempts=F("attempts") + 1,
            wake_at=now + lease,
        )
    )
    if not claimed:
        return None
    Wakeup.objects.filter(pk=wakeup, started_at=None).update(started_at=now)
    return Wakeup.objects.select_related("entry").get(pk=wakeup)


def _put_back(row: Wakeup, *, wake_at: datetime, detail: str, counted: bool = True) -> StepState:
    attempts = row.attempts if counted else row.attempts - 1
    Wakeup.objects.filter(pk=row.pk, lease=row.lease).update(
        state=StepState.PENDING, lease=None, lease_until=None, wake_at=wake_at, detail=detail, attempts=attempts
    )
    return StepState.PENDING


def _finish(row: Wakeup, *, state: StepState, detail: str, now: datetime) -> StepState:
    Wakeup.objects.filter(pk=row.pk, lease=row.lease).update(
        state=state, lease=None, lease_until=None, detail=detail, finished_at=now
    )
    if row.order_key:
        following = Wakeup.objects.open().filter(order_key=row.order_key).order_by("pk").first()
        if following is not None and following.state == StepState.PENDING:
            send(following)
    return state
