"""Appending to the journal, in the transaction of the change that is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from kernel.conf import master_key, router
from kernel.core.actor import Actor
from kernel.core.ids import DomainId, EntryId, new_id
from kernel.core.journal import (
    GENESIS,
    LABEL_CHARACTERS,
    SEAL_PURPOSE,
    Entry,
    Subject,
    digest_of,
    require_storable,
    seal,
)
from kernel.models import JournalEntry, JournalHead, Wakeup
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
    if not connection.in_atomic_block:
        raise RuntimeError("record() belongs into the transaction of the change that it records")
    require_storable([before or {}, after or {}, note, subject.label, actor.label])
    head = _locked_head()
    entry = Entry(
        seq=head.seq + 1,
        id=EntryId(new_id()),
        at=now,
        domain=domain,
        actor=replace(actor, label=actor.label[:LABEL_CHARACTERS]),
        action=action,
        subject=replace(subject, label=subject.label[:LABEL_CHARACTERS]),
        before=dict(before or {}),
        after=dict(after or {}),
        note=note,
        previous=bytes(head.digest),
        digest=b"",
    )
    entry = replace(entry, digest=digest_of(entry))
    _row_of(entry).save(force_insert=True)
    head.seq, head.digest = entry.seq, entry.digest
    head.seal = seal(master_key().derive(SEAL_PURPOSE), seq=entry.seq, digest=entry.digest)
    head.save(force_update=True)
    _add_wakeups(entry, now=now)
    return entry


def _locked_head() -> JournalHead:
    rows = JournalHead.objects.select_for_update().filter(id=1)
    if (head := rows.first()) is not None:
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
    if rows:
        Wakeup.objects.bulk_create(rows)
        transaction.on_commit(lambda: send_all(rows))
