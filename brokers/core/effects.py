"""Who gains and who loses what, between two states of a broker that are told as topic filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from acl.core.topics import covers, intersects
from acl.core.values import Action
from brokers.core.ports import Effect, EffectLine

MOST_LINES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The filters that are allowed, and those that are denied among them."""

    allows: frozenset[str] = frozenset()
    denies: frozenset[str] = frozenset()


FlowOf = Callable[[str, Action], Flow]
"""What an account, by its auth id, may do; `Flow()` if there is no such account."""


def effect(auth_ids: Iterable[str], before: FlowOf, after: FlowOf) -> Effect:
    """What changes for these, at most 200 lines each way; `subscribe` is about what is delivered."""
    gain: list[EffectLine] = []
    lose: list[EffectLine] = []
    for name in sorted(auth_ids):
        for action in Action:
            old, new = before(name, action), after(name, action)
            gain += _lines(name, action, _gained(old, new))
            lose += _lines(name, action, _gained(new, old))
        if len(gain) > MOST_LINES and len(lose) > MOST_LINES:
            break
    bounded = len(gain) > MOST_LINES or len(lose) > MOST_LINES
    return Effect(gain=tuple(gain[:MOST_LINES]), lose=tuple(lose[:MOST_LINES]), bounded=bounded)


def _gained(old: Flow, new: Flow) -> Iterator[str]:
    """Filters that are allowed now and were not, and filters whose deny is gone where something is allowed."""
    for topic in new.allows - old.allows:
        if not _covered(topic, old.allows - old.denies) and not _covered(topic, new.denies):
            yield topic
    for topic in new.allows & old.allows:
        if _covered(topic, old.denies) and not _covered(topic, new.denies):
            yield topic
    for topic in old.denies - new.denies:
        meets = any(intersects(allow, topic) for allow in new.allows & old.allows)
        if meets and not _covered(topic, new.denies) and not any(covers(topic, allow) for allow in old.allows):
            yield topic


def _covered(topic: str, filters: Iterable[str]) -> bool:
    return any(covers(found, topic) for found in filters)


def _lines(name: str, action: Action, filters: Iterable[str]) -> list[EffectLine]:
    return [EffectLine(auth_id=name, action=action.value, filter=found) for found in sorted(set(filters))]
