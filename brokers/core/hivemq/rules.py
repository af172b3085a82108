"""The rules of one principal as HiveMQ permissions, and what is lost on the way.

HiveMQ compares the filter of a SUBSCRIBE as if it were a topic name, lets a first level that is a wildcard meet those
that begin with `$`, and takes empty levels off the end of a topic before it compares it with a permission that has no
wildcard. Deliveries are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from acl.core.evaluation import EffectiveRule, effective
from acl.core.topics import intersects, matches
from acl.core.values import Action, BoundRule, Effect, Principal
from brokers.core.allowances import Allowance, allowances, covered, named_groups, without_open_ends
from brokers.core.hivemq.dialect import Dialect, is_text
from brokers.core.hivemq.permissions import NOTHING, Permission
from brokers.core.hivemq.ways import publishing, subscribing
from brokers.core.ports import DeviationKind
from brokers.core.rendering import begins_with_wildcard, concerning

_SLASHES = (
    "HiveMQ takes empty levels off the end of a topic, so a/b/ passes for a/b and a/b for a/b/: write a/b/# instead, "
    "or accept it."
)


@dataclass(frozen=True, slots=True)
class Granted:
    """A permission, and the rule that it comes of."""

    bound: BoundRule
    permission: Permission


@dataclass(frozen=True, slots=True)
class Loss:
    """What can not be said of a rule."""

    bound: BoundRule
    kind: DeviationKind
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the rules come to. `levels` are all that their filters have, those of denies and of NOTHING included."""

    granted: tuple[Granted, ...]
    losses: tuple[Loss, ...]
    levels: frozenset[str]


def say(policy: Sequence[BoundRule], principal: Principal, dialect: Dialect) -> Said:
    """What `policy` comes to for the principal."""
    rules = effective(policy, principal)
    speaker = _Speaker(rules, dialect)
    granted = (*speaker.publishing(), *speaker.subscribing())
    levels = frozenset(level for rule in rules if rule.filter is not None for level in rule.filter.split("/"))
    losses = tuple(dict.fromkeys(speaker.losses))
    return Said(granted=granted, losses=losses, levels=levels.union(NOTHING.topic.split("/")))


class _Speaker:
    """Turns rules into permissions."""

    def __init__(self, rules: Sequence[EffectiveRule], dialect: Dialect) -> None:
        self._rules = rules
        self._dialect = dialect
        self.losses: list[Loss] = []

    def publishing(self) -> Iterator[Granted]:
        allowed = allowances(self._rules, Action.PUBLISH, self._narrower)
        for each in self._sayable(allowed, allowed, Action.PUBLISH):
            yield from self._told(each, *publishing(each, conditions=self._dialect.conditions))

    def subscribing(self) -> Iterator[Granted]:
        allowed = allowances(self._rules, Action.SUBSCRIBE, self._narrower)
        groups = named_groups(self._rules)
        closed = without_open_ends(allowed, self._narrower, self._signalling)
        for each in self._sayable(closed, allowed, Action.SUBSCRIBE):
            yield from self._told(each, *subscribing(each, groups, conditions=self._dialect.conditions))

    def _told(self, each: Allowance, permissions: Iterable[Permission], lost: str) -> Iterator[Granted]:
        if lost:
            self._narrower(each.bound, f"{lost} can not be told apart here: left out.")
        for permission in permissions:
            yield Granted(each.bound, permission)

    def _sayable(
        self, wanted: Iterable[Allowance], allowed: Sequence[Allowance], action: Action
    ) -> Iterator[Allowance]:
        """Those that HiveMQ reads as they are meant, or wider by empty levels; `allowed` is all that may be done."""
        denies = [topic for _, topic in concerning(self._rules, action, Effect.DENY)]
        for each in wanted:
            fault = self._fault_of(each.filter, denies)
            if action is Action.PUBLISH and intersects(each.filter, f"{NOTHING.topic}/#"):
                fault = fault or f"Every account may subscribe to {NOTHING.topic}, so nobody may publish there"
            if fault:
                self._narrower(each.bound, f"{fault}: left out.")
                continue
            if _is_literal(each.filter) and not covered(f"{each.filter.rstrip('/')}/#", each.ways, allowed):
                self.losses.append(Loss(each.bound, DeviationKind.WIDER, _SLASHES))
            yield each

    def _fault_of(self, filter: str, denies: Sequence[str]) -> str:
        """Why HiveMQ must not be told the filter; empty if it may."""
        if begins_with_wildcard(filter):
            return "HiveMQ lets a first level that is a wildcard meet those that begin with $"
        if not filter.strip("/") or (filter.endswith("/") and not _is_literal(filter)):
            return "HiveMQ takes the empty levels off its end, and it would be another filter"
        if "${" in filter:
            return "It has ${ in it, where HiveMQ would put a value"
        if not is_text(filter) or (self._dialect.trims and filter != filter.strip()):
            return "It has control characters, or blanks at an end"
        if _is_literal(filter) and any(matches(deny, name) for deny in denies for name in _alike(filter, deny)):
            return "HiveMQ takes empty levels off the end of topics, and with them it is denied"
        return ""

    def _signalling(self, bound: BoundRule, why: str) -> None:
        self.losses.append(Loss(bound, DeviationKind.SIGNALLING, why))

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self.losses.append(Loss(bound, DeviationKind.NARROWER, why))


def _is_literal(filter: str) -> bool:
    return "+" not in filter and "#" not in filter


def _alike(filter: str, deny: str) -> Iterator[str]:
    """The names that HiveMQ takes for `filter`, but for itself, as far as they differ for `deny`."""
    name = filter.rstrip("/")
    for count in range(deny.count("/") + 2):
        if name + "/" * count != filter:
            yield name + "/" * count
