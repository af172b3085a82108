"""`?cursor=&limit=` of every list, and the shape of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernel.core.errors import FieldError, Invalid

MAX_LIMIT = 1_000


def limit_of(parameters: Mapping[str, str], *, default: int = 100) -> int:
    """How many rows are asked for, from 1 to 1000. Raises Invalid."""
    text = parameters.get("limit", str(default))
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT:
        return int(text)
    fault = FieldError(pointer="/limit", code="invalid-limit", detail=f"Give a number from 1 to {MAX_LIMIT}.")
    raise Invalid(f"The parameter limit is a number from 1 to {MAX_LIMIT}.", errors=(fault,))


def page(results: Sequence[Mapping[str, Any]], *, next_cursor: str | None, approximate_count: int) -> dict[str, Any]:
    """A page of a list."""
    return {"results": list(results), "next": next_cursor, "approximate_count": approximate_count}
