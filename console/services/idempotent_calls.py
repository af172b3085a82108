"""POSTs that may be repeated: the first one acts, the others get its answer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from console.models import IdempotentCall
from kernel.conf import master_key
from kernel.core.errors import Conflict, Invalid
from kernel.services.rewrap_envelopes import Rewrapped, rewrap_envelopes

KEPT_FOR = timedelta(days=1)
GIVEN_UP_AFTER = timedelta(minutes=2)
PURPOSE = "console.idempotency"


class KeyReused(Invalid):
    """The key stood over another body before."""

    code = "idempotency-key-reused"


class CallInProgress(Conflict):
    """The first call with this key has not been answered yet."""

    code = "idempotency-in-progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: str = field(repr=False)


def begin_call(*, key: str, body: bytes, now: datetime) -> Answer | None:
    """The answer to give again, or None: act, then `finish_call` or `drop_call`. `key` names caller, path and key.

    Raises KeyReused, CallInProgress.
    """
    if (earlier := _under_older_key(key)) is not None:
        return _answer_of(earlier, body, now=now)
    key_hash, *_ = _hashes(key)
    body_hash, *_ = _hashes(body.hex())
    try:
        with transaction.atomic():
            IdempotentCall.objects.create(key_hash=key_hash, body_hash=body_hash, started_at=now)
    except IntegrityError:
        return _answer_of(IdempotentCall.objects.filter(key_hash=key_hash).first(), body, now=now)
    if _under_older_key(key) is not None:  # begun meanwhile by a process that has the older key yet
        IdempotentCall.objects.filter(key_hash=key_hash, answer=None).delete()
        raise CallInProgress("The first call with this Idempotency-Key is still being worked on: try again.")
    return None


def finish_call(*, key: str, answer: Answer) -> None:
    """Keeps the answer for a day."""
    for key_hash in _hashes(key):
        envelope = master_key().wrap(json.dumps(asdict(answer)).encode(), purpose=PURPOSE, context=key_hash.hex())
        if IdempotentCall.objects.filter(key_hash=key_hash, answer=None).update(answer=envelope):
            return


def drop_call(*, key: str) -> None:
    """Forgets a call that came to nothing, so that it may be tried again."""
    IdempotentCall.objects.filter(key_hash__in=_hashes(key), answer=None).delete()


def rewrap_answers() -> Rewrapped:
    """What became of the kept answers: each is under the present master key. Not to be called in a transaction."""
    return rewrap_envelopes(
        place="kept answers",
        rows=IdempotentCall.objects.all(),
        column="answer",
        purpose=PURPOSE,
        context=lambda row: bytes(row.key_hash).hex(),
    )


def _under_older_key(key: str) -> IdempotentCall | None:
    """The call, if it was begun under another master key that is believed."""
    _, *older = _hashes(key)
    return IdempotentCall.objects.filter(key_hash__in=older).first() if older else None


def _answer_of(row: IdempotentCall | None, body: bytes, *, now: datetime) -> Answer | None:
    if row is None:
        raise CallInProgress("A call with this Idempotency-Key has just ended: try again.")
    if not master_key().is_hash_of(bytes(row.body_hash), body.hex(), purpose=PURPOSE):
        raise KeyReused("This Idempotency-Key was sent with another body before: make a new key for a new call.")
    if row.answer is not None:
        opened = master_key().unwrap(bytes(row.answer), purpose=PURPOSE, context=bytes(row.key_hash).hex())
        return Answer(**json.loads(opened))
    abandoned = IdempotentCall.objects.filter(key_hash=row.key_hash, answer=None, started_at=row.started_at)
    if row.started_at + GIVEN_UP_AFTER > now or not abandoned.update(started_at=now):
        raise CallInProgress("The first call with this Idempotency-Key is still being worked on: try again.")
    return None


def _hashes(text: str) -> list[bytes]:
    """Under each master key that is believed, the current one first."""
    return master_key().keyed_hashes(text, purpose=PURPOSE)
