"""`?cursor=&limit=` of every list, and the shape of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kernel.core import cursor
from kernel.core.errors import FieldError, Invalid

MAX_LIMIT = 1_000
Row = TypeVar("Row")


def limit_of(parameters: Mapping[str, str], *, default: int = 100) -> int:
    """How many rows are asked for, from 1 to 1000. Raises Invalid."""
    text = parameters.get("limit", str(default))
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT:
        return int(text)
    fault = FieldError(pointer="/limit", code="invalid-limit", detail=f"Give a number from 1 to {MAX_LIMIT}.")
    raise Invalid(f"The parameter limit is a number from 1 to {MAX_LIMIT}.", errors=(fault,))


def page_of(
    rows: Sequence[Row],
    *,
    limit: int,
    place: Callable[[Row], Sequence[str | int]],
    document: Callable[[Row], Mapping[str, Any]],
    approximate_count: int,
) -> dict[str, Any]:
    """The first `limit` of these rows as a page; who reads one more of them, if there is, has the next begin there.

    `place` is a row's sort key.
    """
    following = cursor.encode(place(rows[limit - 1])) if len(rows) > limit else None
    return page(list(map(document, rows[:limit])), next_cursor=following, approximate_count=approximate_count)


def page(results: Sequence[Mapping[str, Any]], *, next_cursor: str | None, approximate_count: int) -> dict[str, Any]:
    """A page of a list."""
    return {"results": list(results), "next": next_cursor, "approximate_count": approximate_count}
