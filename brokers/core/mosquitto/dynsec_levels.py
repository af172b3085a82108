"""The levels that Mosquitto's dynamic security plugin fills in from 2.1 on, and 2.0 takes as they are: %u and %c.

Nobody else's topics may come of them: the client chooses its client id. So what is rendered for 2.0 has none either.
"""

from __future__ import annotations

from collections.abc import Collection

USERNAME = "%u"
_FILLED_IN = frozenset({USERNAME, "%c"})


def spelled(filter: str, marked: Collection[int] = ()) -> tuple[str, bool]:
    """The filter with %u for the levels `marked`, and whether others would be filled in; these have a + instead."""
    if not marked and "%" not in filter:
        return filter, False
    levels = filter.split("/")
    unmeant = [position for position, level in enumerate(levels) if level in _FILLED_IN and position not in marked]
    for position in unmeant:
        levels[position] = "+"
    for position in marked:
        levels[position] = USERNAME
    return "/".join(levels), bool(unmeant)
