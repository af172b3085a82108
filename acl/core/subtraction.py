"""What is left of a topic filter where another one denies: filters again, as far as that is possible.

Topics have no `+ but not x`, so much of what can be said as an allow and a deny can not be said as allows alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from acl.core.topics import intersects, levels_of

Levels = tuple[str, ...]


def subtract(filter: str, denied: str) -> tuple[str, ...] | None:
    """Filters, disjoint and sorted, under which fall just the names under `filter` that are not under `denied`.

    () if there are none, and None if no finite set of filters says it.
    """
    if not intersects(filter, denied):
        return (filter,)
    left = _left(tuple(levels_of(filter)), tuple(levels_of(denied)))
    return None if left is None else tuple(sorted(map(_spelled, left)))


def subtract_all(filter: str, denied: Iterable[str]) -> tuple[str, ...] | None:
    """As `subtract`, with several filters that deny. Exact: None only if the rest is no finite set of filters."""
    denying = [other for other in denied if intersects(filter, other)]
    if not denying:
        return (filter,)
    for number, other in enumerate(denying):  # one that leaves filters goes first: it may take what another splits
        pieces = subtract(filter, other)
        if pieces is not None:
            rest = denying[:number] + denying[number + 1 :]
            left = [subtract_all(piece, rest) for piece in pieces]
            return None if None in left else tuple(sorted(text for found in left for text in found or ()))
    return None


def _left(filter: Levels, denied: Levels) -> list[Levels] | None:
    """What is left of the levels `filter`, some name of which falls under `denied`."""
    if denied == ("#",):
        return []
    if not filter:
        return []  # both end here
    if filter[0] == "#":
        return _left_of_all(denied)
    if filter[0] == "+" != denied[0]:
        return None  # every level but one
    return _below(filter[0], _left(filter[1:], denied[1:]))


def _left_of_all(denied: Levels) -> list[Levels] | None:
    """What is left of `#`: the parent, and whatever is below."""
    if not denied:
        return [("+", "#")]
    if denied[0] != "+":
        return None
    below = _below("+", _left(("#",), denied[1:]))
    return None if below is None else [(), *below]


def _below(level: str, rest: list[Levels] | None) -> list[Levels] | None:
    return None if rest is None else [(level, *levels) for levels in rest]


def _spelled(levels: Levels) -> str:
    """The filter of those levels, the shorter spelling where there are two."""
    text = "/".join(levels)
    return {"+/#": "#", "/+/#": "/#"}.get(text, text)
