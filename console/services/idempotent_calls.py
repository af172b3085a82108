"""POSTs that may be repeated: the first one acts, the others get its answer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from console.models import IdempotentCall
from kernel.conf import master_key
from kernel.core.errors import Conflict, Invalid
from kernel.core.secrets import same

KEPT_FOR = timedelta(days=1)
GIVEN_UP_AFTER = timedelta(minutes=2)
_PURPOSE = "console.idempotency"


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
    key_hash, body_hash = _hash(key), _hash(body.hex())
    try:
        with transaction.atomic():
            IdempotentCall.objects.create(key_hash=key_hash, body_hash=body_hash, started_at=now)
    except IntegrityError:
        return _earlier(key_hash, body_hash, now=now)
    return None


def finish_call(*, key: str, answer: Answer) -> None:
    """Keeps the answer for a day."""
    key_hash = _hash(key)
    envelope = master_key().wrap(json.dumps(asdict(answer)).encode(), purpose=_PURPOSE, context=key_hash.hex())
    IdempotentCall.objects.filter(key_hash=key_hash, answer=None).update(answer=envelope)


def drop_call(*, key: str) -> None:
    """Forgets a call that came to nothing, so that it may be tried again."""
    IdempotentCall.objects.filter(key_hash=_hash(key), answer=None).delete()


def _earlier(key_hash: bytes, body_hash: bytes, *, now: datetime) -> Answer | None:
    row = IdempotentCall.objects.filter(key_hash=key_hash).first()
    if row is None:
        raise CallInProgress("A call with this Idempotency-Key has just ended: try again.")
    if not same(bytes(row.body_hash), body_hash):
        raise KeyReused("This Idempotency-Key was sent with another body before: make a new key for a new call.")
    if row.answer is not None:
        opened = master_key().unwrap(bytes(row.answer), purpose=_PURPOSE, context=key_hash.hex())
        return Answer(**json.loads(opened))
    abandoned = IdempotentCall.objects.filter(key_hash=key_hash, answer=None, started_at=row.started_at)
    if row.started_at + GIVEN_UP_AFTER > now or not abandoned.update(started_at=now):
        raise CallInProgress("The first call with this Idempotency-Key is still being worked on: try again.")
    return None


def _hash(text: str) -> bytes:
    return master_key().keyed_hash(text, purpose=_PURPOSE)
