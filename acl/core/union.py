"""Whether several topic filters cover one together: brokers cannot tell, and the explanation says so."""

from __future__ import annotations

from collections.abc import Sequence

from acl.core.topics import covers, levels_of

_MOST_STEPS = 2_000
_MOST_LEVELS = 100  # four frames of the interpreter each, of which it has a thousand

Levels = tuple[str, ...]


def cover_together(filters: Sequence[str], wanted: str) -> bool:
    """Whether every topic name under `wanted` falls under one of `filters`.

    Exact, but for filters so entangled that it would take more than 2,000 steps, and for those of more than 100
    levels: these count as not covering.
    """
    spelled = [tuple(levels_of(text)) for text in filters if text.count("/") < _MOST_LEVELS]
    if wanted.count("/") >= _MOST_LEVELS:
        return any(covers(text, wanted) for text in filters)
    return _Search().covered(frozenset(spelled), tuple(levels_of(wanted)), first=True)


class _Search:
    """Goes down the levels of the wanted filter with all that is left of the others."""

    def __init__(self) -> None:
        self._steps = 0
        self._known: dict[tuple[frozenset[Levels], Levels], bool] = {}

    def covered(self, states: frozenset[Levels], goal: Levels, *, first: bool = False) -> bool:
        if ("#",) in states:
            return True
        self._steps += 1
        if not states or self._steps > _MOST_STEPS:
            return False
        if not goal:
            return () in states
        key = (states, goal)
        if first or key not in self._known:
            self._known[key] = self._decide(states, goal, first=first)
        return self._known[key]

    def _decide(self, states: frozenset[Levels], goal: Levels, *, first: bool) -> bool:
        level, rest = goal[0], goal[1:]
        if level == "#":  # the end here, or any level and then the same again
            return () in states and self._each(states, goal, first=first)
        if level == "+":
            return self._each(states, rest, first=first)
        return self.covered(_after(states, level, first=first), rest)

    def _each(self, states: frozenset[Levels], rest: Levels, *, first: bool) -> bool:
        """Whether it holds after every level: each that is spelled out, and one that nobody spells."""
        spelled = {state[0] for state in states if state and state[0] not in {"+", "#"}}
        if first:
            spelled = {text for text in spelled if not text.startswith("$")}
        return all(self.covered(_after(states, text, first=first), rest) for text in (None, *sorted(spelled)))


def _after(states: frozenset[Levels], level: str | None, *, first: bool) -> frozenset[Levels]:
    """What is left of the filters behind `level`; None is a level that no filter spells."""
    hidden = first and level is not None and level.startswith("$")
    left = set()
    for state in filter(None, states):
        if state[0] == "#":
            left.add(state)
        elif state[0] == level or (state[0] == "+" and not hidden):
            left.add(state[1:])
    return frozenset(left)
