"""Subscribe rules for brokers that match an asked filter as if it were a topic name (see `wildcards`).

Three lists come of the policy, asked in this order where the first match wins: denies, guards (filters denied
literally, each of which an allow would let through against the policy), and allows, some of them literal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from acl.core.subtraction import subtract_all
from acl.core.topics import covers, intersects
from acl.core.values import BoundRule
from brokers.core.emqx.wildcards import admitted_beyond, unseen_by

LEFT_OUT = (
    "It meets a deny, and a filter that does so is granted all the same, with nothing withheld: left out. "
    "Write allows that no deny meets."
)
LITERAL = (
    "It has wildcards at its end and before it, and its last + would admit # in its place: "
    "only the very same filter may be subscribed to."
)
IN_PARTS = "It meets a deny: only parts of it that the deny spares may be subscribed to."


@dataclass(slots=True)
class Subscribing:
    """What may be subscribed to. `losses` are the rules that were narrowed, each with the reason."""

    guards: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    literals: set[str] = field(default_factory=set)
    losses: list[tuple[BoundRule, str]] = field(default_factory=list)


def subscribing(allows: Sequence[tuple[BoundRule, str]], denies: Iterable[str]) -> Subscribing:
    """The guards and allows for these filters: no more is granted than the policy allows."""
    denies = sorted(set(denies))
    alive = [(bound, topic) for bound, topic in allows if not any(covers(deny, topic) for deny in denies)]
    alive.sort(key=lambda entry: (entry[1], entry[0].rule.id))
    kept = {topic: _against_policy(topic, denies) for _, topic in alive}
    made = Subscribing(patterns={topic for topic, guards in kept.items() if guards is not None})
    for bound, topic in alive:
        if kept[topic] is None and not any(covers(pattern, topic) for pattern in made.patterns):
            _rewrite(made, bound, topic, denies)
    wide = [topic for topic in made.patterns if topic[-1] == "#" or "+" in topic]
    made.patterns = {topic for topic in made.patterns if not _covered(topic, wide)}
    made.literals = {topic for topic in made.literals if not _covered(topic, wide)}
    allowed = [topic for _, topic in alive]
    for topic in made.patterns:
        guards = kept[topic] if topic in kept else _against_policy(topic, denies)
        made.guards |= {filter for filter in guards or () if not _permitted(filter, allowed, denies)}
    return made


def _against_policy(topic: str, denies: Sequence[str]) -> frozenset[str] | None:
    """The filters that an allow of `topic` would let through beyond itself, or against a deny; None if endless."""
    beyond, unseen = admitted_beyond(topic), unseen_by(denies, topic)
    return None if beyond is None or unseen is None else unseen.union(beyond)


def _rewrite(made: Subscribing, bound: BoundRule, topic: str, denies: Sequence[str]) -> None:
    """Puts in what can be kept of an allow that can not stand as it is."""
    pieces = subtract_all(topic, denies)
    if pieces is None:
        made.losses.append((bound, LEFT_OUT))
        return
    if pieces != (topic,):
        made.losses.append((bound, IN_PARTS))
    for piece in pieces:
        if _against_policy(piece, denies) is None:
            made.literals.add(piece)
            made.losses.append((bound, LITERAL))
        else:
            made.patterns.add(piece)


def _covered(topic: str, patterns: Iterable[str]) -> bool:
    return any(other != topic and covers(other, topic) for other in patterns)


def _permitted(filter: str, allows: Iterable[str], denies: Iterable[str]) -> bool:
    """What the policy says to the filter."""
    return any(covers(allow, filter) for allow in allows) and not any(intersects(deny, filter) for deny in denies)
