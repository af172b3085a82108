"""Appending to the journal, in the transaction of the change that is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from kernel.conf import master_key, router
from kernel.core.actor import Actor
from kernel.core.ids import DomainId
from kernel.core.journal import GENESIS, SEAL_PURPOSE, Change, Entry, Subject, chain, require_storable, seal
from kernel.models import JournalEntry, JournalHead, Wakeup
from kernel.services.insert_rows import insert_rows
from kernel.services.send_wakeups import RESEND_AFTER, send_all


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
    `before` and `after` are small JSON objects and never hold a secret. Raises Unstorable.
    """
    change = Change(action=action, subject=subject, domain=domain, before=before or {}, after=after or {}, note=note)
    return record_many(changes=[change], actor=actor, now=now)[0]


def record_many(*, changes: Sequence[Change], actor: Actor, now: datetime) -> list[Entry]:
    """The entries appended to the journal in this order, with their wake-ups, as `record` does with one."""
    if not connection.in_atomic_block:
        raise RuntimeError("record() belongs into the transaction of the change that it records")
    if not changes:
        return []
    require_storable(actor.label)
    for change in changes:
        require_storable([change.before, change.after, change.note, change.subject.label])
    head = _locked_head()
    entries = chain(changes, actor=actor, at=now, seq=head.seq, digest=bytes(head.digest))
    insert_rows([_row_of(entry) for entry in entries])
    head.seq, head.digest = entries[-1].seq, entries[-1].digest
    head.seal = seal(master_key().derive(SEAL_PURPOSE), seq=head.seq, digest=entries[-1].digest)
    head.save(force_update=True)
    _add_wakeups(entries, now=now)
    return entries


def _locked_head() -> JournalHead:
    rows = JournalHead.objects.select_for_update().filter(id=1)
    for head in rows:  # not first(), which sorts what is one
        return head
    JournalHead.objects.get_or_create(id=1, defaults={"digest": GENESIS, "seal": b""})
    return rows.get()


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


def _add_wakeups(entries: Sequence[Entry], *, now: datetime) -> None:
    chosen = router()
    rows = [
        Wakeup(
            entry_id=entry.seq,
            task=step.task,
            target=step.target,
            queue=step.queue,
            order_key=step.order_key,
            wake_at=now + RESEND_AFTER,
        )
        for entry in entries
        for step in chosen.steps_for(entry)
    ]
    if rows:
        Wakeup.objects.bulk_create(rows)
        transaction.on_commit(lambda: send_all(rows))
