"""Slow and obviously right: topics by the words of MQTT 5 4.7, sets of names by enumeration, policy by its definition.

Over a small alphabet: filters of at most three levels of LEVELS, names of at most four of NAME_LEVELS.
`other` is a level that no filter spells; one of them stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

from acl.core.values import Action, BoundRule, Effect, Publish, Receive, Request, Retain, Rule, Shared, Subscribe

LEVELS = ("", "a", "b", "$s", "+")
NAME_LEVELS = ("", "a", "b", "$s", "other")


def matches(filter: Sequence[str], name: Sequence[str]) -> bool:
    """4.7: level by level, both given as lists of levels."""
    if filter[0] in {"+", "#"} and name[0].startswith("$"):
        return False  # 4.7.2
    return _rest_matches(list(filter), list(name))


def _rest_matches(filter: list[str], name: list[str]) -> bool:
    if filter == ["#"]:
        return True  # any number of levels, none included: the parent
    if not filter or not name:
        return not filter and not name
    return filter[0] in {"+", name[0]} and _rest_matches(filter[1:], name[1:])


def all_filters(depth: int = 3, levels: Sequence[str] = LEVELS) -> list[str]:
    """Every filter of at most `depth` levels."""
    plain = [list(choice) for size in range(1, depth + 1) for choice in product(levels, repeat=size)]
    below = [[*choice, "#"] for size in range(depth) for choice in product(levels, repeat=size)]
    return ["/".join(levels) for levels in plain + below if levels != [""]]


@cache
def all_names() -> tuple[str, ...]:
    """Every name of at most four levels."""
    choices = (choice for size in range(1, 5) for choice in product(NAME_LEVELS, repeat=size))
    return tuple("/".join(choice) for choice in choices if choice != ("",))


@cache
def names_under(filter: str) -> frozenset[str]:
    """The names that fall under `filter`."""
    levels = filter.split("/")
    return frozenset(name for name in all_names() if matches(levels, name.split("/")))


def covers(wide: str, narrow: str) -> bool:
    """By the definition: every name under `narrow` is under `wide`."""
    return names_under(narrow) <= names_under(wide)


def intersects(left: str, right: str) -> bool:
    """By the definition: some name is under both."""
    return not names_under(left).isdisjoint(names_under(right))


def cover_together(filters: Iterable[str], wanted: str) -> bool:
    """By the definition: every name under `wanted` is under one of `filters`."""
    return names_under(wanted) <= frozenset[str]().union(*map(names_under, filters))


def allowed(policy: Sequence[BoundRule], request: Request) -> bool:
    """Policy without templates, straight from policy.md 3."""
    rules = [bound.rule for bound in policy]
    if isinstance(request, Publish):
        hits = [
            rule
            for rule in rules
            if Action.PUBLISH in rule.actions
            and request.topic in names_under(rule.topic)
            and request.qos in rule.qos
            and request.retain in {Retain.ANY: (True, False), Retain.ONLY: (True,), Retain.NEVER: (False,)}[rule.retain]
        ]
        return bool(hits) and all(rule.effect is Effect.ALLOW for rule in hits)
    if isinstance(request, Receive):
        ways = [(qos, group) for qos in (0, 1, 2) for group in (None, "g", "h", "another")]
        return any(allowed(policy, Subscribe(topic=request.topic, qos=qos, group=group)) for qos, group in ways)
    about = [rule for rule in rules if Action.SUBSCRIBE in rule.actions and _about(rule, request)]
    granting = any(rule.effect is Effect.ALLOW and covers(rule.topic, request.topic) for rule in about)
    hitting = any(rule.effect is Effect.DENY and intersects(rule.topic, request.topic) for rule in about)
    return granting and not hitting


def _about(rule: Rule, request: Subscribe) -> bool:
    if request.qos not in rule.qos:
        return False
    if rule.shared is Shared.ANY:
        return True
    if rule.shared is Shared.NEVER:
        return request.group is None
    return request.group is not None and (rule.shared_group is None or rule.shared_group == request.group)
