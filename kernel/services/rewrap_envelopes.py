"""Bringing stored envelopes under the present master key, while other processes read and write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from kernel.conf import master_key
from kernel.core.secrets import WrongKey

_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """What became of the envelopes of one place: how many were wrapped anew, and a sentence on each that was not."""

    place: str
    done: int = 0
    left: tuple[str, ...] = ()


def rewrap_envelopes(
    *, place: str, rows: QuerySet[Any], column: str, purpose: str, context: Callable[[Any], str]
) -> Rewrapped:
    """Wraps each envelope in `column` anew that is under another master key. Not to be called in a transaction.

    A row that somebody changes meanwhile is read again. `context` is of the row, as when it was wrapped.
    """
    done, left, last = 0, [], None
    waiting = rows.exclude(**{column: None}).order_by("pk")
    while found := [*(waiting if last is None else waiting.filter(pk__gt=last))[:_AT_ONCE]]:
        for row in found:
            try:
                done += _rewrap(row, rows, column, purpose=purpose, context=context)
            except WrongKey as error:
                left.append(f"{place} {context(row)}: {error.detail}")
        last = found[-1].pk
    return Rewrapped(place=place, done=done, left=tuple(left))


def _rewrap(row: Any, rows: QuerySet[Any], column: str, *, purpose: str, context: Callable[[Any], str]) -> int:
    """How many envelopes of the row were wrapped anew, 0 or 1. Raises WrongKey."""
    current: Any = row
    while current is not None and getattr(current, column) is not None:
        envelope = bytes(getattr(current, column))
        fresh = master_key().rewrap(envelope, purpose=purpose, context=context(current))
        if fresh is None:
            return 0
        if rows.filter(pk=row.pk, **{column: envelope}).update(**{column: fresh}):
            return 1
        current = rows.filter(pk=row.pk).first()
    return 0
