"""The journal's values: entries, their digests, and the check of a chain.

Each entry's digest covers the digest before it, so that a changed, removed or reordered entry shows.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from kernel.core.actor import Actor
from kernel.core.clock import to_rfc3339
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId, EntryId, new_id

GENESIS = b"\x00" * 32
SEAL_PURPOSE = "kernel.journal.seal"
LABEL_CHARACTERS = 255
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Unstorable(Invalid):
    """A text has a character that no database keeps."""

    code = "unstorable-text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an entry is about: `kind` such as `devices.device`, its id, and a label for people."""

    kind: str
    id: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recorded change. `seq` counts from 1 without a gap; before and after hold no secret."""

    seq: int
    id: EntryId
    at: datetime
    domain: DomainId | None
    actor: Actor
    action: str
    subject: Subject
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    note: str
    previous: bytes
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an entry is made of: small JSON objects that hold no secret."""

    action: str
    subject: Subject
    domain: DomainId | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class StepState(StrEnum):
    """How far one consequence of an entry has come."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Queue(StrEnum):
    """The Celery queues, so that a bulk job never delays a revocation."""

    REVOCATION = "revocation"
    POLICY = "policy"
    PKI = "pki"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One consequence of an entry: a Celery task to wake, and what it acts on.

    Steps with the same `order_key` run one at a time in the order of their entries, but for one that ended in a fault:
    the others go on, and it is tried again between them. So its task brings about what is to be now, not what its entry
    changed. A step with an empty `order_key` waits for nobody.
    """

    task: str
    target: str
    queue: Queue
    order_key: str = ""


def chain(changes: Iterable[Change], *, actor: Actor, at: datetime, seq: int, digest: bytes) -> list[Entry]:
    """The entries that follow upon the one with this `seq` and `digest`. Labels are cut to LABEL_CHARACTERS."""
    actor = replace(actor, label=actor.label[:LABEL_CHARACTERS])
    entries: list[Entry] = []
    for number, change in enumerate(changes, start=seq + 1):
        entry = Entry(
            seq=number,
            id=EntryId(new_id()),
            at=at,
            domain=change.domain,
            actor=actor,
            action=change.action,
            subject=replace(change.subject, label=change.subject.label[:LABEL_CHARACTERS]),
            before=dict(change.before),
            after=dict(change.after),
            note=change.note,
            previous=digest,
            digest=b"",
        )
        digest = digest_of(entry)
        entries.append(replace(entry, digest=digest))
    return entries


def digest_of(entry: Entry) -> bytes:
    """SHA-256 over the entry without its digest, as canonical JSON (sorted keys, no blanks, UTF-8), 32 octets."""
    text = json.dumps(_covered(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).digest()


def as_document(entry: Entry) -> dict[str, Any]:
    """The entry as JSON for export. Without its `digest` it is what the digest covers, so that others can check it."""
    return _covered(entry) | {"digest": entry.digest.hex()}


def _covered(entry: Entry) -> dict[str, Any]:
    actor, subject = entry.actor, entry.subject
    return {
        "seq": entry.seq,
        "id": str(entry.id),
        "at": to_rfc3339(entry.at),
        "domain": str(entry.domain) if entry.domain else None,
        "actor": [actor.kind, actor.id, actor.label, actor.address],
        "action": entry.action,
        "subject": [subject.kind, subject.id, subject.label],
        "before": _canonical(entry.before),
        "after": _canonical(entry.after),
        "note": entry.note,
        "previous": entry.previous.hex(),
    }


def _canonical(value: Any) -> Any:
    """`value` with whole floats as integers: jsonb gives 1e20 back as an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    return value


def require_storable(value: Any) -> None:
    """Refuses NUL and lone surrogates in any text of a JSON value. Raises Unstorable."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise Unstorable(f"Leave NUL and half characters out of {value[:40]!r}.")
    elif isinstance(value, Mapping):
        require_storable([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for inner in value:
            require_storable(inner)


def seal(key: bytes, *, seq: int, digest: bytes) -> bytes:
    """The keyed mark of the chain's last entry: whoever rewrites the whole chain has to know the key."""
    return hmac.digest(key, seq.to_bytes(8, "big") + digest, "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A place where the chain does not hold."""

    seq: int
    what: str


def verify_chain(entries: Iterable[Entry]) -> Iterator[Break | Entry]:
    """Every break of the chain in order, and last of all the last entry seen, if any. `entries` come by rising seq."""
    expected_seq, previous = 1, GENESIS
    last: Entry | None = None
    for entry in entries:
        if entry.seq != expected_seq:
            yield Break(seq=expected_seq, what=f"entries {expected_seq} to {entry.seq - 1} are missing")
        elif entry.previous != previous:
            yield Break(seq=entry.seq, what="does not follow the entry before it: one was replaced or reordered")
        if entry.digest != digest_of(entry):
            yield Break(seq=entry.seq, what="its content was changed after it was written")
        expected_seq, previous, last = entry.seq + 1, entry.digest, entry
    if last is not None:
        yield last
