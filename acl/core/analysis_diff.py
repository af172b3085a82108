"""What a change of rules gives and takes, as topic filters rather than as text of rules.

It is about flow (what may be published, what may be received), and judges all rules of a principal together, so a rule
that another makes superfluous comes and goes without a word. Placeholders stay in the filters: the answer costs by the
rules, whatever the number of devices. It never leaves out what some device gains or loses; a device whose value
happens to be what another rule spells may already have had a part of what is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from acl.core.analysis_filters import Equality, common_part, template_covers, widened, without
from acl.core.rules import RuleSpec
from acl.core.templates import placeholders
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Rule, Shared

AnyRule = Rule | RuleSpec
_OTHER = ""  # a shared group that no rule names


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChange:
    """A topic-filter template that is gained or lost, but for what falls under `without`, in the ways that it names.

    It is so for devices to whom every equality of `where` applies; if `lacking` is not empty, only for those that have
    no safe value for one of these placeholders (a deny rule was widened for them). Of shared subscriptions it is about
    those in `shared_group`, or without one about all but those in `other_than`.
    """

    action: Action
    filter: str
    without: tuple[str, ...] = ()
    where: tuple[Equality, ...] = ()
    lacking: tuple[str, ...] = ()
    qos: frozenset[int] = EVERY_QOS
    retain: Retain = Retain.ANY
    shared: Shared = Shared.ANY
    shared_group: str | None = None
    other_than: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterDifference:
    """What is gained and what is lost, each in a stable order."""

    gained: tuple[FilterChange, ...]
    lost: tuple[FilterChange, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """One manner of doing it: a QoS with the retain flag, or with a shared group (None is a plain subscription)."""

    qos: int
    retain: bool | None = None
    group: str | None = None


def filters_gained_and_lost(before: Iterable[AnyRule], after: Iterable[AnyRule]) -> FilterDifference:
    """What principals with all the rules of `before` gain and lose when they have those of `after` instead."""
    old, new = tuple(before), tuple(after)
    return FilterDifference(gained=_gained(old, new), lost=_gained(new, old))


def _gained(old: Sequence[AnyRule], new: Sequence[AnyRule]) -> tuple[FilterChange, ...]:
    lines: list[FilterChange] = []
    for action in Action:
        alike: dict[tuple[frozenset[int], frozenset[int]], list[_Way]] = defaultdict(list)
        for way in _ways(action, [*old, *new]):
            alike[_in_force(old, action, way), _in_force(new, action, way)].append(way)
        found: dict[FilterChange, set[_Way]] = defaultdict(set)
        for (was, is_now), ways in alike.items():
            for change in _pieces(action, [old[n] for n in sorted(was)], [new[n] for n in sorted(is_now)]):
                found[change] |= set(ways)
        groups = {way.group for each in alike.values() for way in each if way.group}
        lines += [line for change, ways in found.items() for line in _lines(change, ways, groups)]
    return tuple(sorted(lines, key=_order))


def _ways(action: Action, rules: Collection[AnyRule]) -> Iterator[_Way]:
    groups = {rule.shared_group for rule in rules if rule.shared_group is not None}
    for qos in sorted(EVERY_QOS):
        if action is Action.PUBLISH:
            yield from (_Way(qos, retain=retain) for retain in (False, True))
        else:
            yield from (_Way(qos, group=group) for group in (None, _OTHER, *sorted(groups)))


def _in_force(rules: Sequence[AnyRule], action: Action, way: _Way) -> frozenset[int]:
    return frozenset(n for n, rule in enumerate(rules) if action in rule.actions and _applies(rule, action, way))


def _applies(rule: AnyRule, action: Action, way: _Way) -> bool:
    if way.qos not in rule.qos:
        return False
    if action is Action.PUBLISH:
        return rule.retain is Retain.ANY or (rule.retain is Retain.ONLY) == way.retain
    if rule.shared is Shared.ANY:
        return True
    if rule.shared is Shared.NEVER:
        return way.group is None
    return way.group is not None and rule.shared_group in (None, way.group)


def _pieces(action: Action, old: Sequence[AnyRule], new: Sequence[AnyRule]) -> Iterator[FilterChange]:
    """What `new` lets pass and `old` does not: new allows, and what fell under a deny that is gone."""
    allowed, denied = _topics(old)
    allows, denies = _topics(new)
    found = [FilterChange(action=action, filter=topic) for topic in allows - allowed]
    pieces = [_reduced(change, allowed | denies) for change in found]
    for gone in denied - denies:
        pieces += [_reduced(change, denies) for change in _freed(action, allows, gone)]
    yield from _widest([piece for piece in pieces if piece])


def _freed(action: Action, allows: Iterable[str], gone: str) -> Iterator[FilterChange]:
    """What the allows let pass where the deny `gone` is no more, also where it had been widened."""
    names = placeholders(gone)
    for topic in allows:
        if met := common_part(topic, gone):
            yield FilterChange(action=action, filter=met.filter, where=met.where)
        if names and (met := common_part(topic, widened(gone))):
            yield FilterChange(action=action, filter=met.filter, where=met.where, lacking=names)


def _topics(rules: Iterable[AnyRule]) -> tuple[frozenset[str], frozenset[str]]:
    """The templates that are allowed, and those that are denied."""
    every = list(rules)
    return tuple(frozenset(rule.topic for rule in every if rule.effect is effect) for effect in Effect)  # type: ignore[return-value]


def _reduced(change: FilterChange, taken: Iterable[str]) -> FilterChange | None:
    """The change but for what is taken of it; None if nothing is left."""
    rest = without(change.filter, taken)
    return None if rest is None else replace(change, without=rest)


def _widest(pieces: Sequence[FilterChange]) -> Iterator[FilterChange]:
    """The pieces that no other holds as a whole."""
    kept: list[FilterChange] = []
    for piece in sorted(set(pieces), key=_order):
        if not any(_holds(other, piece) for other in kept):
            kept = [other for other in kept if not _holds(piece, other)] + [piece]
    yield from kept


def _holds(wide: FilterChange, narrow: FilterChange) -> bool:
    if not set(wide.where) <= set(narrow.where) or (wide.lacking and wide.lacking != narrow.lacking):
        return False
    if not template_covers(wide.filter, narrow.filter):
        return False
    met = [found.filter for text in wide.without if (found := common_part(text, narrow.filter))]
    return all(any(template_covers(text, part) for text in narrow.without) for part in met)


def _lines(change: FilterChange, ways: Collection[_Way], groups: Collection[str]) -> Iterator[FilterChange]:
    """The change with conditions that say in just which ways it is so. `groups` are those that rules name."""
    by_manner: dict[bool | str | None, set[int]] = defaultdict(set)
    publishes = change.action is Action.PUBLISH
    for way in ways:
        by_manner[way.retain if publishes else way.group].add(way.qos)
    alike: dict[frozenset[int], set[bool | str | None]] = defaultdict(set)
    for manner, qos in by_manner.items():
        alike[frozenset(qos)].add(manner)
    for levels, manners in alike.items():
        said = replace(change, qos=levels)
        if publishes:
            retain = Retain.ANY if len(manners) == 2 else Retain.ONLY if True in manners else Retain.NEVER
            yield replace(said, retain=retain)
        else:
            yield from _sharing(said, manners, sorted(groups))


def _sharing(said: FilterChange, manners: Collection[bool | str | None], groups: list[str]) -> Iterator[FilterChange]:
    named = [group for group in groups if group in manners]
    if _OTHER in manners:
        shared = Shared.ANY if None in manners else Shared.ONLY
        yield replace(said, shared=shared, other_than=tuple(group for group in groups if group not in named))
        return
    if None in manners:
        yield replace(said, shared=Shared.NEVER)
    yield from (replace(said, shared=Shared.ONLY, shared_group=group) for group in named)


def _order(change: FilterChange) -> tuple[object, ...]:
    conditions = (sorted(change.qos), change.retain, change.shared, change.shared_group or "", change.other_than)
    return (change.action, bool(change.lacking), change.filter, change.without, change.where, *conditions)
