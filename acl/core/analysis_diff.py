"""What a change of rules gives and takes, as topic filters rather than as text of rules.

It is about flow (what may be published, what may be received), and judges all rules of a principal together, so a rule
that another makes superfluous comes and goes without a word. Placeholders stay in the filters: the answer costs by the
rules, whatever the number of devices. It never leaves out what some device gains or loses; a device whose value
happens to be what another rule spells may already have had a part of what is said. Where it would take too much work,
whole filters are said, without what is to be taken out of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from acl.core.analysis_filters import Equality, common_part, template_covers, widened, without
from acl.core.analysis_work import Work
from acl.core.rules import RuleSpec
from acl.core.templates import placeholders
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Rule, Shared

AnyRule = Rule | RuleSpec
_Topics = tuple[frozenset[str], frozenset[str]]  # that are allowed, and those that are denied
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
    """What is gained and what is lost, each in a stable order.

    It is `bounded` where it was too much work to be exact: then more may be said than is gained or lost, never less.
    """

    gained: tuple[FilterChange, ...]
    lost: tuple[FilterChange, ...]
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class _Way:
    """One manner of doing it: a QoS with the retain flag, or with a shared group (None is a plain subscription)."""

    qos: int
    retain: bool | None = None
    group: str | None = None


def filters_gained_and_lost(
    before: Iterable[AnyRule], after: Iterable[AnyRule], work: Work | None = None
) -> FilterDifference:
    """What principals with all the rules of `before` gain and lose when they have those of `after` instead."""
    old, new, left = tuple(before), tuple(after), work or Work()
    gained, lost = _gained(old, new, left), _gained(new, old, left)
    return FilterDifference(gained=gained, lost=lost, bounded=left.has_run_out)


def _gained(old: Sequence[AnyRule], new: Sequence[AnyRule], work: Work) -> tuple[FilterChange, ...]:
    lines: list[FilterChange] = []
    for action in Action:
        groups = {rule.shared_group for rule in (*old, *new) if rule.shared_group is not None}
        was, is_now = (_in_force(rules, action, groups) for rules in (old, new))
        alike: dict[tuple[frozenset[int], frozenset[int]], set[_Way]] = defaultdict(set)
        for way in was:
            alike[was[way], is_now[way]].add(way)
        found: dict[FilterChange, set[_Way]] = defaultdict(set)
        exact, rest = _Exact(action, work), _Rest(action)
        for (had, has), ways in alike.items():
            sides = _topics(old[n] for n in sorted(had)), _topics(new[n] for n in sorted(has))
            rest.add(*sides, ways)
            for change in () if work.has_run_out else exact.pieces(*sides):
                found[change] |= ways
        if work.has_run_out:
            found = dict.fromkeys(rest.pieces(), rest.ways)
        lines += [line for change, ways in found.items() for line in _lines(change, ways, groups)]
    return tuple(sorted(lines, key=_order))


def _in_force(rules: Sequence[AnyRule], action: Action, groups: Collection[str]) -> dict[_Way, frozenset[int]]:
    """Which of the rules, by number, are about each way of doing it."""
    about = [(n, rule) for n, rule in enumerate(rules) if action in rule.actions]
    found: dict[_Way, frozenset[int]] = {}
    for qos in sorted(EVERY_QOS):
        here = [(n, rule) for n, rule in about if qos in rule.qos]
        if action is Action.PUBLISH:
            for retain, other in ((False, Retain.ONLY), (True, Retain.NEVER)):
                found[_Way(qos, retain=retain)] = frozenset(n for n, rule in here if rule.retain is not other)
            continue
        found[_Way(qos)] = frozenset(n for n, rule in here if rule.shared is not Shared.ONLY)
        shared = [(n, rule) for n, rule in here if rule.shared is not Shared.NEVER]
        any_group = frozenset(n for n, rule in shared if rule.shared_group is None)
        own: dict[str, set[int]] = defaultdict(set)
        for n, rule in shared:
            if rule.shared_group is not None:
                own[rule.shared_group].add(n)
        found |= {_Way(qos, group=group): any_group.union(own.get(group, ())) for group in (_OTHER, *sorted(groups))}
    return found


class _Exact:
    """What one set of rules lets pass and another does not, as long as there is work left."""

    def __init__(self, action: Action, work: Work) -> None:
        self._action, self._work = action, work
        self._known: dict[tuple[str, frozenset[str]], tuple[str, ...] | None] = {}

    def pieces(self, old: _Topics, new: _Topics) -> Sequence[FilterChange]:
        """New allows, and what fell under a deny that is gone. Worthless if the work runs out."""
        (allowed, denied), (allows, denies) = old, new
        found = [FilterChange(action=self._action, filter=topic) for topic in sorted(allows - allowed)]
        pieces = [self._reduced(change, allowed | denies) for change in found]
        for gone in sorted(denied - denies):
            if not self._work.spend(20 * len(allows)):
                break
            pieces += [self._reduced(change, denies) for change in self._freed(allows, gone)]
        return self._widest([piece for piece in pieces if piece])

    def _freed(self, allows: Iterable[str], gone: str) -> Iterator[FilterChange]:
        """What the allows let pass where the deny `gone` is no more, also where it had been widened."""
        names = placeholders(gone)
        for topic in allows:
            if met := common_part(topic, gone):
                yield FilterChange(action=self._action, filter=met.filter, where=met.where)
            if names and (met := common_part(topic, widened(gone))):
                yield FilterChange(action=self._action, filter=met.filter, where=met.where, lacking=names)

    def _reduced(self, change: FilterChange, taken: frozenset[str]) -> FilterChange | None:
        """The change but for what is taken of it; None if nothing is left."""
        key = change.filter, taken
        if key not in self._known:
            self._known[key] = without(change.filter, taken, self._work)
        rest = self._known[key]
        return None if rest is None else replace(change, without=rest)

    def _widest(self, pieces: Iterable[FilterChange]) -> Sequence[FilterChange]:
        """The pieces that no other holds as a whole."""
        kept: list[FilterChange] = []
        every = sorted(set(pieces), key=_order)
        for piece in every:
            if not self._work.spend(1 + len(kept) // 2):
                break
            if not any(self._holds(other, piece) for other in kept):
                kept = [other for other in kept if not self._holds(piece, other)] + [piece]
        return kept

    def _holds(self, wide: FilterChange, narrow: FilterChange) -> bool:
        if not set(wide.where) <= set(narrow.where) or (wide.lacking and wide.lacking != narrow.lacking):
            return False
        if not template_covers(wide.filter, narrow.filter):
            return False
        if not self._work.spend(len(wide.without) * (1 + len(narrow.without))):
            return False
        met = [found.filter for text in wide.without if (found := common_part(text, narrow.filter))]
        return all(any(template_covers(text, part) for text in narrow.without) for part in met)


class _Rest:
    """What is gained at most, in any of the ways: new allows and gone denies, whole."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._gained: set[str] = set()
        self._gone: set[str] = set()
        self.ways: set[_Way] = set()

    def add(self, old: _Topics, new: _Topics, ways: Iterable[_Way]) -> None:
        """Those ways too."""
        (allowed, denied), (allows, denies) = old, new
        self._gained |= allows - allowed
        self._gone |= denied - denies if allows else frozenset()
        self.ways |= set(ways)

    def pieces(self) -> Iterator[FilterChange]:
        """Each filter once."""
        yield from (FilterChange(action=self._action, filter=topic) for topic in sorted(self._gained | self._gone))
        for topic in sorted(self._gone):
            if names := placeholders(topic):
                yield FilterChange(action=self._action, filter=widened(topic), lacking=names)


def _topics(rules: Iterable[AnyRule]) -> _Topics:
    every = list(rules)
    return tuple(frozenset(rule.topic for rule in every if rule.effect is effect) for effect in Effect)  # type: ignore[return-value]


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
