from __future__ import annotations

import random
from typing import Any

import pytest

from acl.core.values import Action, BoundRule, Publish, Retain, Shared, Subscribe
from brokers.core.emqx.acl import CAPABILITIES
from brokers.core.emqx.compiler import CLOSING, EmqxPolicy, compile_policy, limited, readable, unreadable
from brokers.core.emqx.rule import EmqxAction, document_of
from brokers.core.nanomq.emulator import words_match as dollar_blind
from brokers.core.ports import DeviationKind
from brokers.core.rendering import Deviations
from tests.brokers.core.emqx_cast import PUBLISH, SUBSCRIBE, admitted, barred, bound

BOTH = PUBLISH | SUBSCRIBE


def compiled(*policy: BoundRule, **facts: Any) -> tuple[EmqxPolicy, list[tuple[str, str]]]:
    deviations = Deviations()
    made = compile_policy(admitted(*policy, **facts), deviations)
    return made, [(found.rule.rule.topic, found.kind.value) for found in deviations.all()]


def listed(policy: EmqxPolicy) -> list[str]:
    """Each rule in a few words, in the order in which they are asked; the closing ones left out."""
    documents = (document_of(rule) for rule in policy.open)
    return [" ".join(str(value) for value in document.values()) for document in documents]


def test_the_quickstart_policy_is_expanded() -> None:
    policy, deviations = compiled(
        bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
        bound("allow", "${domain}/${client_id}/down/#"),
        bound("allow", "${domain}/all/#"),
    )
    assert listed(policy) == [
        "allow subscribe north/all/#",
        "allow subscribe north/pump-7/down/#",
        "allow publish north/pump-7/up/#",
    ]
    assert deviations == []


def test_denies_come_first_and_what_is_closed_last() -> None:
    policy, _ = compiled(bound("allow", "a/#", actions=BOTH), bound("deny", "a/b", actions=BOTH))
    assert listed(policy)[0] == "deny all a/b"
    assert listed(policy)[-1] == "allow all a/#"
    assert policy.closed[-len(CLOSING) :] == CLOSING
    assert [rule.topic for rule in CLOSING] == ["$SYS/#", "$delayed/#", "$file/#", "#"]
    assert {(rule.allow, rule.action) for rule in CLOSING} == {(False, EmqxAction.ALL)}


def test_an_allow_that_ends_in_plus_is_preceded_by_a_literal_deny_of_everything_below() -> None:
    policy, deviations = compiled(bound("allow", "x/${client_id}/+"))
    assert listed(policy) == ["deny subscribe eq x/pump-7/#", "allow subscribe x/pump-7/+"]
    assert deviations == []


def test_roots_of_the_broker_are_denied_before_allows_that_begin_with_a_wildcard() -> None:
    policy, deviations = compiled(bound("allow", "#", actions=PUBLISH), bound("allow", "$SYS/x", actions=PUBLISH))
    assert listed(policy) == [
        "allow publish $SYS/x",
        "deny all $SYS/#",
        "deny all $delayed/#",
        "deny all $file/#",
        "allow publish #",
    ]
    assert [rule.topic for rule in policy.closed[-2:]] == ["#", "#"]
    assert deviations == []


@pytest.mark.parametrize("topic", ["$SYS/x", "$delayed/5/a", "$file/x"])
def test_so_a_release_that_lets_wildcards_meet_dollar_levels_denies_them_too(topic: str) -> None:
    policy, _ = compiled(bound("allow", "#", actions=BOTH), bound("allow", "+/x", actions=BOTH))
    first = next(rule for rule in policy.closed if dollar_blind(rule.topic, topic))
    assert not first.allow


def test_two_wildcards_with_one_at_the_end_are_allowed_literally() -> None:
    policy, deviations = compiled(bound("allow", "a/+/+"))
    assert listed(policy) == ["allow subscribe eq a/+/+"]
    assert deviations == [("a/+/+", "narrower")]


def test_a_deny_that_the_broker_would_not_see_removes_the_allow_of_subscribing_and_not_of_publishing() -> None:
    policy, deviations = compiled(bound("allow", "a/#", actions=BOTH), bound("deny", "a/secret/#", actions=BOTH))
    assert listed(policy) == ["deny all a/secret/#", "allow publish a/#"]
    assert deviations == [("a/#", "narrower")]


def test_filters_that_would_bring_a_denied_name_are_denied_one_by_one() -> None:
    policy, deviations = compiled(bound("allow", "a/#"), bound("deny", "a/b"))
    assert listed(policy) == [
        "deny subscribe a/b",
        "deny subscribe eq a/#",
        "deny subscribe eq a/+",
        "deny subscribe eq a/+/#",
        "deny subscribe eq a/b/#",
        "allow subscribe a/#",
    ]
    assert deviations == []


def test_a_value_that_is_missing_voids_an_allow_and_widens_a_deny() -> None:
    policy, _ = compiled(
        bound("allow", "a/#", actions=PUBLISH),
        bound("allow", "${attr.site}/x", actions=PUBLISH),
        bound("deny", "a/${attr.site}/b", actions=PUBLISH),
    )
    assert listed(policy) == ["deny publish a/+/b", "allow publish a/#"]


@pytest.mark.parametrize("value", ["+", "#", "a/b", "x+", "/"])
def test_a_value_that_would_inject_gives_nothing(value: str) -> None:
    policy, _ = compiled(
        bound("allow", "x/${client_id}/y", actions=BOTH),
        bound("allow", "x/${attr.v}", actions=BOTH),
        client_id=value,
        attributes={"v": value},
    )
    assert policy == EmqxPolicy()


@pytest.mark.parametrize("value", ["${clientid}", "${username}x", "${"])
def test_a_value_that_would_be_a_placeholder_is_left_out_and_denied_as_any_level(value: str) -> None:
    policy, deviations = compiled(
        bound("allow", "x/${attr.v}", actions=BOTH), bound("deny", "y/${attr.v}", actions=BOTH), attributes={"v": value}
    )
    assert listed(policy) == ["deny all y/+"]
    assert deviations == [("x/${attr.v}", "narrower"), ("y/${attr.v}", "narrower")]


def test_a_value_that_would_make_the_topic_literal_is_left_out_and_denied_as_any_level() -> None:
    policy, deviations = compiled(
        bound("allow", "${attr.v}/a", actions=PUBLISH),
        bound("deny", "${attr.v}/b", actions=PUBLISH),
        bound("allow", "c/b", actions=PUBLISH),
        attributes={"v": "eq x"},
    )
    assert listed(policy) == ["deny publish +/b", "allow publish c/b"]
    assert deviations == [("${attr.v}/a", "narrower"), ("${attr.v}/b", "narrower"), ("c/b", "narrower")]
    assert (unreadable("eq a"), unreadable("a/eq b"), readable("eq a/${x}/c")) == (True, False, "+/+/c")
    assert readable("eq a/#") == "#"


def test_qos_and_retain_are_told_as_they_are() -> None:
    policy, deviations = compiled(
        bound("allow", "a", actions=PUBLISH, qos=frozenset({1, 0}), retain=Retain.NEVER),
        bound("deny", "b", actions=PUBLISH, retain=Retain.ONLY),
        bound("allow", "c/#", qos=frozenset({0, 1})),
    )
    assert listed(policy) == [
        "deny publish b True",
        "allow publish a [0, 1] False",
        "allow subscribe c/# [0, 1]",
    ]
    assert deviations == []


def test_a_deny_that_spares_a_qos_spares_the_allow_there() -> None:
    policy, deviations = compiled(bound("allow", "a/#"), bound("deny", "a/x/#", qos=frozenset({2})))
    assert listed(policy) == ["deny subscribe a/x/# [2]", "allow subscribe a/# [0, 1]"]
    assert deviations == [("a/#", "narrower")]


@pytest.mark.parametrize(
    "sharing",
    [{"shared": Shared.ONLY}, {"shared": Shared.ONLY, "shared_group": "g"}, {"shared": Shared.NEVER}],
)
def test_rules_about_shared_subscriptions_can_not_be_told(sharing: dict[str, Any]) -> None:
    allowed, told = compiled(bound("allow", "a", **sharing))
    assert (listed(allowed), told) == ([], [("a", "narrower")])
    denied, told = compiled(bound("deny", "a", **sharing))
    assert (listed(denied), told) == (["deny subscribe a"], [("a", "narrower")])


@pytest.mark.parametrize(
    ("topic", "actions"),
    [("$delayed/5/a", PUBLISH), ("$queue/a", SUBSCRIBE), ("$exclusive/a", SUBSCRIBE)],
)
def test_first_levels_that_are_not_what_they_say_are_left_out(topic: str, actions: frozenset[Action]) -> None:
    policy, deviations = compiled(bound("allow", topic, actions=actions))
    assert (listed(policy), deviations) == ([], [(topic, "narrower")])


def test_who_is_not_admitted_gets_the_closing_denies_alone() -> None:
    assert compile_policy(barred(), Deviations()).closed == CLOSING


def test_the_order_of_rules_makes_no_difference() -> None:
    rules = [
        bound(effect, topic, actions=BOTH) for effect in ("allow", "deny") for topic in ("a/+", "b/#", "+/+", "b/c")
    ]
    one = compiled(*rules)
    random.Random(1).shuffle(rules)
    assert compiled(*rules) == one


def test_capabilities_say_what_never_holds() -> None:
    assert DeviationKind.WIDER in {kind for kind, _ in CAPABILITIES.limits}
    assert (CAPABILITIES.qos_conditions, CAPABILITIES.retain_conditions) == (True, True)
    deep = "/".join("a" * 129)
    assert (limited(Publish(topic=deep)), limited(Subscribe(topic=deep[:-2]))) == (True, False)
