from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.evaluation import PrincipalPolicy, effective, evaluate
from acl.core.values import (
    Action,
    Allow,
    BoundRule,
    Deny,
    DenyReason,
    Effect,
    Principal,
    Publish,
    Receive,
    Request,
    Retain,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from tests.acl.core import reference
from tests.acl.core.strategies import ANYBODY, policies, requests, rules

BOTH = frozenset({Action.PUBLISH, Action.SUBSCRIBE})


def bound(effect: str, topic: str, **conditions: object) -> BoundRule:
    facts: dict[str, object] = {"actions": BOTH, **conditions}
    rule = Rule(id=RuleId(UUID(int=len(topic) + 1)), effect=Effect(effect), topic=topic, **facts)  # type: ignore[arg-type]
    return BoundRule(rule=rule, role_name="pump")


def says(request: Request, *policy: BoundRule, principal: Principal = ANYBODY) -> bool:
    return isinstance(evaluate(policy, principal, request), Allow)


def test_nothing_is_allowed_without_a_rule() -> None:
    assert evaluate((), ANYBODY, Publish(topic="a")) == Deny(reason=DenyReason.NO_RULE)


def test_deny_a_part_refuses_the_whole_and_permits_another_part() -> None:
    policy = (bound("allow", "a/#"), bound("deny", "a/secret/#"))
    refused = evaluate(policy, ANYBODY, Subscribe(topic="a/#"))
    assert refused == Deny(reason=DenyReason.DENY_RULE, rule=policy[1])
    assert evaluate(policy, ANYBODY, Subscribe(topic="a/open/#")) == Allow(rule=policy[0])
    assert not says(Subscribe(topic="a/+"), *policy)  # a/secret falls under a/secret/# as well
    assert not says(Publish(topic="a/secret"), *policy)
    assert says(Publish(topic="a/open"), *policy)


def test_several_allows_that_cover_only_together_refuse() -> None:
    policy = (bound("allow", "a"), bound("allow", "a/+/#"))
    assert evaluate(policy, ANYBODY, Subscribe(topic="a/#")) == Deny(reason=DenyReason.ONLY_TOGETHER)
    assert evaluate(policy, ANYBODY, Subscribe(topic="#")) == Deny(reason=DenyReason.NO_RULE)


@pytest.mark.parametrize("topic", ["#", "+/#", "+/x"])
def test_a_rule_without_the_dollar_level_spelled_out_never_grants_it(topic: str) -> None:
    assert not says(Subscribe(topic="$SYS/x"), bound("allow", topic))
    assert not says(Publish(topic="$SYS/x"), bound("allow", topic))
    assert says(Receive(topic="$SYS/x"), bound("allow", topic), bound("allow", "$SYS/x"))


def test_conditions_narrow_what_a_rule_is_about() -> None:
    retained = bound("allow", "a", retain=Retain.ONLY, qos=frozenset({0, 1}))
    assert says(Publish(topic="a", qos=1, retain=True), retained)
    assert not says(Publish(topic="a", qos=2, retain=True), retained)
    assert not says(Publish(topic="a", qos=1), retained)
    but = (bound("allow", "a"), bound("deny", "a", retain=Retain.ONLY))
    assert says(Publish(topic="a"), *but)
    assert not says(Publish(topic="a", retain=True), *but)


def test_shared_conditions() -> None:
    group = bound("allow", "a", shared=Shared.ONLY, shared_group="g")
    assert says(Subscribe.parse("$share/g/a"), group)
    assert not says(Subscribe.parse("$share/h/a"), group)
    assert not says(Subscribe.parse("a"), group)
    assert says(Subscribe.parse("$share/h/a"), bound("allow", "a", shared=Shared.ONLY))
    assert not says(Subscribe.parse("$share/h/a"), bound("allow", "a", shared=Shared.NEVER))
    assert says(Subscribe.parse("$share/h/a"), bound("allow", "a"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$share/g/a/#", Subscribe(topic="a/#", group="g")),
        ("$share/g//a", Subscribe(topic="/a", group="g")),
        ("$share/g", Subscribe(topic="$share/g")),
        ("$share//a", Subscribe(topic="$share//a")),
        ("a/#", Subscribe(topic="a/#")),
    ],
)
def test_subscriptions_are_parsed(text: str, expected: Subscribe) -> None:
    assert Subscribe.parse(text) == expected


def test_a_delivery_needs_one_way_to_subscribe() -> None:
    one_way = (bound("allow", "a", qos=frozenset({0, 1})), bound("deny", "a", qos=frozenset({0})))
    assert says(Receive(topic="a"), *one_way)
    assert not says(Receive(topic="a"), *one_way, bound("deny", "a", qos=frozenset({1})))
    assert says(Receive(topic="a"), bound("allow", "a"), bound("deny", "a", shared=Shared.NEVER))


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\x00"])
def test_a_malformed_name_is_refused(topic: str) -> None:
    everything = bound("allow", "#")
    assert evaluate((everything,), ANYBODY, Publish(topic=topic)) == Deny(reason=DenyReason.MALFORMED)
    assert evaluate((everything,), ANYBODY, Receive(topic=topic)) == Deny(reason=DenyReason.MALFORMED)


def test_a_malformed_filter_is_refused() -> None:
    assert evaluate((bound("allow", "#"),), ANYBODY, Subscribe(topic="a#")) == Deny(reason=DenyReason.MALFORMED)


def test_void_rules_stand_in_the_effective_policy_with_their_reason() -> None:
    policy = (bound("allow", "a/${attr.site}"), bound("deny", "b/${attr.site}"), bound("allow", "${client_id}"))
    void, widened, plain = effective(policy, ANYBODY)
    assert (void.filter, void.void_reason) == (None, "${attr.site} has no value")
    assert (widened.filter, widened.void_reason) == ("b/#", "${attr.site} has no value")
    assert (plain.filter, plain.void_reason) == ("pump", "")


def test_what_is_kept_of_a_policy_is_never_another_policy() -> None:
    for number in range(3_000):  # more than are kept, and ids of dead tuples come again
        policy = (bound("allow", f"t/{number}"),)
        assert PrincipalPolicy.of(policy, ANYBODY).policy is policy
        assert says(Publish(topic=f"t/{number}"), *policy)
    changing = [bound("allow", "a")]
    assert isinstance(evaluate(changing, ANYBODY, Publish(topic="a")), Allow)
    changing.clear()
    assert isinstance(evaluate(changing, ANYBODY, Publish(topic="a")), Deny)


@settings(max_examples=1_000, deadline=None)
@given(policy=policies, request_=requests)
def test_engine_agrees_with_the_definition(policy: tuple[BoundRule, ...], request_: Request) -> None:
    assert says(request_, *policy) is reference.allowed(policy, request_)


@given(policy=policies, request_=requests, seed=st.integers())
def test_the_order_of_rules_never_matters(policy: tuple[BoundRule, ...], request_: Request, seed: int) -> None:
    shuffled = random.Random(seed).sample(policy, len(policy))
    one, other = evaluate(policy, ANYBODY, request_), evaluate(shuffled, ANYBODY, request_)
    assert getattr(one, "reason", None) == getattr(other, "reason", None)


@given(policy=policies, request_=requests, extra=rules())
def test_one_more_deny_never_allows_more(policy: tuple[BoundRule, ...], request_: Request, extra: BoundRule) -> None:
    if extra.rule.effect is Effect.DENY and says(request_, *policy, extra):
        assert says(request_, *policy)
