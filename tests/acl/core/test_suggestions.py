"""Suggestions by hand-worked examples, and that none is ever wider than its rule."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from acl.core.analysis_filters import template_covers
from acl.core.evaluation import evaluate
from acl.core.observed_topics import generalise
from acl.core.rules import RuleSpec
from acl.core.suggestions import Observed, Suggestion, SuggestionKind, suggest, without_surplus
from acl.core.values import (
    Action,
    Allow,
    BoundRule,
    Effect,
    Principal,
    Publish,
    Role,
    RoleId,
    Rule,
    RuleId,
)
from tests.acl.core.strategies import filters, names
from tests.cast import NORTH

ROLE = RoleId(UUID(int=1))


def rule(number: int, topic: str, effect: Effect = Effect.ALLOW, action: Action = Action.PUBLISH) -> Rule:
    return Rule(id=RuleId(UUID(int=number)), effect=effect, actions=frozenset({action}), topic=topic)


def of(*rules: Rule) -> Role:
    return Role(id=ROLE, domain=NORTH, name="pump", rules=rules)


def seen(count: int, *used: str) -> Observed:
    return Observed(count=count, filters=frozenset(used))


def told(
    role: Role, observed: dict[int, Observed], *, watched: tuple[int, ...]
) -> list[tuple[str, int, tuple[str, ...]]]:
    found = suggest(
        role,
        {RuleId(UUID(int=number)): each for number, each in observed.items()},
        watched=[RuleId(UUID(int=number)) for number in watched],
        days=30,
    )
    return [(each.kind.value, each.rule.id.int, each.filters) for each in found]


def test_rule_that_nobody_used_is_dropped() -> None:
    role = of(rule(1, "a/#"), rule(2, "b/#"))
    assert told(role, {2: seen(7, "b/#")}, watched=(1, 2)) == [("drop-rule", 1, ())]


def test_rule_of_which_nobody_would_know_is_left_alone() -> None:
    assert told(of(rule(1, "a/#")), {}, watched=()) == []
    assert told(of(rule(1, "a/#")), {1: seen(3, "a/b")}, watched=()) == []


def test_deny_is_never_suggested_away() -> None:
    assert told(of(rule(1, "a/#", Effect.DENY)), {}, watched=(1,)) == []


def test_wildcard_is_narrowed_to_what_was_used() -> None:
    role = of(rule(1, "${domain}/#"))
    observed = {1: seen(9, "${domain}/${client_id}/up/t", "${domain}/${client_id}/up/#")}
    assert told(role, observed, watched=(1,)) == [("narrow-rule", 1, ("${domain}/${client_id}/up/#",))]


def test_many_topics_are_put_together() -> None:
    role = of(rule(1, "a/#"))
    observed = {1: seen(9, *(f"a/up/{number}" for number in range(9)), "a/log")}
    assert told(role, observed, watched=(1,)) == [("narrow-rule", 1, ("a/log", "a/up/#"))]


def test_topics_that_have_nothing_in_common_narrow_nothing() -> None:
    role = of(rule(1, "a/#"))
    assert told(role, {1: seen(9, *(f"a/{number}" for number in range(9)))}, watched=(1,)) == []
    assert told(role, {1: seen(9)}, watched=(1,)) == []


def test_rule_that_is_used_as_it_stands_is_left_alone() -> None:
    assert told(of(rule(1, "a/b")), {1: seen(9, "a/b")}, watched=(1,)) == []
    assert told(of(rule(1, "#")), {1: seen(9, "+/#")}, watched=(1,)) == []


def test_role_without_surplus_has_each_rule_once_and_keeps_conditions() -> None:
    first, second = replace(rule(1, "a/#"), qos=frozenset({1})), replace(rule(2, "a/b"), qos=frozenset({1}))
    role = of(first, second, rule(3, "c/#"))
    narrowed = Suggestion(kind=SuggestionKind.NARROW, role=role, rule=first, filters=("a/b", "a/c"), count=2, days=30)
    dropped = Suggestion(kind=SuggestionKind.DROP, role=role, rule=role.rules[2], filters=(), count=0, days=30)
    assert without_surplus(role.rules, [narrowed, dropped]) == (
        replace(RuleSpec.of(second), topic="a/b"),
        replace(RuleSpec.of(second), topic="a/c"),
    )


PUMP = Principal(id="1", auth_id="a", client_id="b", username="a", domain="c")


@given(topic=filters, used=st.lists(names, min_size=1, max_size=8))
def test_what_was_used_stays_allowed_and_nothing_becomes_allowed(topic: str, used: list[str]) -> None:
    wide = rule(1, topic)
    before = (BoundRule(rule=wide, role_name="pump"),)
    allowed = [name for name in used if isinstance(evaluate(before, PUMP, Publish(topic=name)), Allow)]
    observed = seen(len(allowed), *(generalise(topic, name, PUMP) for name in allowed))
    for each in suggest(of(wide), {wide.id: observed}, watched=[wide.id], days=30):
        assert all(template_covers(topic, filter) for filter in each.filters)
        assert not any(template_covers(filter, topic) for filter in each.filters)
        specs = without_surplus([wide], [each])
        after = tuple(
            BoundRule(rule=spec.with_id(RuleId(UUID(int=number))), role_name="pump")
            for number, spec in enumerate(specs)
        )
        assert all(isinstance(evaluate(after, PUMP, Publish(topic=name)), Allow) for name in allowed)
