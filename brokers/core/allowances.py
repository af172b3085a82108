"""What a policy permits said as allows alone, for brokers that know no deny.

A deny is taken out of every allow that it meets: by its conditions first, then by its filter where the rest is a
finite set of filters. Where it is none the allow is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from acl.core.evaluation import EffectiveRule
from acl.core.subtraction import subtract_all
from acl.core.topics import covers, intersects
from acl.core.union import cover_together
from acl.core.values import Action, BoundRule, Effect, Retain, Rule, Shared
from brokers.core.rendering import canonical, concerning

RETAINED, UNRETAINED = "retained", "unretained"
OTHERS = ""  # a shared group that no rule of the policy names

# How a topic is used: the QoS, and whether a publish is retained or in which group (or None) a subscription is shared.
Way = tuple[int, str | None]
Note = Callable[[BoundRule, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A filter that one rule allows in these ways, less what denies take."""

    bound: BoundRule
    filter: str
    ways: frozenset[Way]

    def qos(self, other: str | None) -> frozenset[int]:
        """The QoS that go with retained or unretained, or with a shared group."""
        return qos_of(self.ways, other)


def allowances(rules: Sequence[EffectiveRule], action: Action, left_out: Note) -> list[Allowance]:
    """What the rules allow for `action` when every deny is heeded; `left_out` is told of allows that are lost."""
    groups = named_groups(rules)
    denies = [(topic, _ways(bound.rule, action, groups)) for bound, topic in concerning(rules, action, Effect.DENY)]
    found = []
    for bound, topic in concerning(rules, action, Effect.ALLOW):
        wanted = _ways(bound.rule, action, groups)
        meeting = [(filter, denied) for filter, denied in denies if intersects(topic, filter)]
        if not meeting:
            found.append(Allowance(bound=bound, filter=topic, ways=wanted))
            continue
        ways: dict[str, set[Way]] = defaultdict(set)
        for denied, alike in _by_denies(wanted, meeting).items():
            left = subtract_all(topic, denied)
            if left is None:
                left_out(bound, "Denies take a part of it, and the rest can not be said as allows: left out.")
            for filter in left or ():
                ways[canonical(filter)] |= alike
        found += [Allowance(bound=bound, filter=filter, ways=frozenset(ways[filter])) for filter in sorted(ways)]
    return found


def named_groups(rules: Iterable[EffectiveRule]) -> tuple[str, ...]:
    """The shared groups that the rules name, sorted."""
    return tuple(sorted({rule.bound.rule.shared_group for rule in rules if rule.bound.rule.shared_group}))


def _by_denies(ways: Iterable[Way], denies: Sequence[tuple[str, frozenset[Way]]]) -> dict[tuple[str, ...], set[Way]]:
    """The ways by the filters that are denied in them."""
    found: dict[tuple[str, ...], set[Way]] = defaultdict(set)
    for way in ways:
        found[tuple(sorted({filter for filter, denied in denies if way in denied}))].add(way)
    return found


def _ways(rule: Rule, action: Action, groups: tuple[str, ...]) -> frozenset[Way]:
    if action is Action.PUBLISH:
        return _ways_to_publish(rule.qos, rule.retain)
    return _ways_to_subscribe(rule.qos, rule.shared, rule.shared_group, groups)


# What many rules of many principals have alike is one value; few are kept, for with many shared groups they are large.
@lru_cache(maxsize=1024)
def qos_of(ways: frozenset[Way], other: str | None) -> frozenset[int]:
    """The QoS that go with retained or unretained, or with a shared group, in these ways."""
    return frozenset(qos for qos, each in ways if each == other)


@lru_cache(maxsize=1024)
def _ways_to_publish(levels: frozenset[int], retain: Retain) -> frozenset[Way]:
    flags = {Retain.ONLY: (RETAINED,), Retain.NEVER: (UNRETAINED,)}.get(retain, (RETAINED, UNRETAINED))
    return frozenset((qos, flag) for qos in levels for flag in flags)


@lru_cache(maxsize=1024)
def _ways_to_subscribe(
    levels: frozenset[int], shared: Shared, group: str | None, groups: tuple[str, ...]
) -> frozenset[Way]:
    shares = [share for share in (None, OTHERS, *groups) if _is_shared_so(shared, group, share)]
    return frozenset((qos, share) for qos in levels for share in shares)


def _is_shared_so(shared: Shared, group: str | None, share: str | None) -> bool:
    if shared is Shared.ANY:
        return True
    if shared is Shared.NEVER:
        return share is None
    return share is not None and group in (None, share)


def covered(filter: str, ways: frozenset[Way], granted: Sequence[Allowance]) -> bool:
    """Whether one of `granted` allows all of `filter` in all these ways."""
    return any(ways <= other.ways and covers(other.filter, filter) for other in granted)


def covered_together(filter: str, ways: frozenset[Way], granted: Sequence[Allowance]) -> bool:
    """Whether those of `granted` that hold in all these ways allow all of `filter` between them."""
    return cover_together([other.filter for other in granted if ways <= other.ways], filter)


def without_open_ends(granted: Sequence[Allowance], left_out: Note, signalling: Note) -> Iterator[Allowance]:
    """The subscriptions of `granted` that are safe where the asked filter is taken for a name.

    There `a/+` admits `a/#`, and so does `a/+/#`. What that brings has to be allowed as well.
    """
    for each in granted:
        end = open_end(each.filter)
        if end and not covered_together(end, each.ways, granted):
            left_out(each.bound, "The broker would grant all that is below its parent, which is not allowed: left out.")
            continue
        if end and not covered(end, each.ways, granted):
            signalling(each.bound, "A filter that several rules cover only together is granted.")
        yield each


def open_end(filter: str) -> str:
    """The filter that such a broker grants beyond what `filter` covers; empty if there is none."""
    levels = filter.split("/")
    while levels and levels[-1] in {"+", "#"}:
        if levels[-1] == "+":
            return "/".join([*levels[:-1], "#"])
        levels.pop()
    return ""
