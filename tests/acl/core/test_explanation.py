from __future__ import annotations

from hypothesis import given

from acl.core.evaluation import evaluate
from acl.core.explanation import explain
from acl.core.values import Allow, BoundRule, Deny, DenyReason, Publish, Receive, Request, Retain, Subscribe
from tests.acl.core.strategies import ANYBODY, policies, requests
from tests.acl.core.test_evaluation import bound


@given(policy=policies, request_=requests)
def test_explanation_says_what_evaluation_says_and_looks_at_every_rule(
    policy: tuple[BoundRule, ...], request_: Request
) -> None:
    explanation = explain(policy, ANYBODY, request_)
    assert explanation.verdict == evaluate(policy, ANYBODY, request_)
    assert [considered.rule for considered in explanation.considered] == list(policy)
    assert all(considered.why for considered in explanation.considered)
    deciding = [considered for considered in explanation.considered if considered.why.startswith("decides")]
    assert [considered.rule for considered in deciding[:1]] == [explanation.verdict.rule] * bool(
        explanation.verdict.rule
    )


def test_every_rule_says_why_it_does_or_does_not_count() -> None:
    policy = (
        bound("allow", "${client_id}/#"),
        bound("allow", "pump/up"),
        bound("allow", "other"),
        bound("allow", "a/${attr.site}"),
        bound("deny", "pump/secret"),
        bound("allow", "pump/+", retain=Retain.ONLY),
        bound("deny", "pump/up", qos=frozenset({2})),
    )
    explanation = explain(policy, ANYBODY, Publish(topic="pump/up", qos=1))
    assert [(considered.filter, considered.matches, considered.why) for considered in explanation.considered] == [
        ("pump/#", True, "decides: allows it"),
        ("pump/up", True, "allows it as well"),
        ("other", False, "does not match the topic name"),
        (None, False, "is void, since ${attr.site} has no value"),
        ("pump/secret", False, "does not match the topic name"),
        ("pump/+", False, "is about retained messages only"),
        ("pump/up", False, "is about QoS 2 only"),
    ]
    assert explanation.summary == "A rule of the role pump allows it, and no rule forbids it."


def test_a_deny_that_decides_is_named_beside_the_allows_it_beats() -> None:
    policy = (bound("allow", "a/#"), bound("deny", "a/${attr.site}/x"))
    explanation = explain(policy, ANYBODY, Subscribe(topic="a/+/x"))
    assert explanation.verdict == Deny(reason=DenyReason.DENY_RULE, rule=policy[1])
    assert [considered.why for considered in explanation.considered] == [
        "would allow it, but a deny rule wins",
        "decides: forbids it; widened, since ${attr.site} has no value",
    ]


def test_allows_that_cover_only_together_are_pointed_out() -> None:
    policy = (bound("allow", "a"), bound("allow", "a/+/#"), bound("allow", "b"))
    explanation = explain(policy, ANYBODY, Subscribe(topic="a/#"))
    assert [considered.why for considered in explanation.considered] == [
        "covers a part of the filter only",
        "covers a part of the filter only",
        "does not cover the filter",
    ]
    assert "only together" in explanation.summary


def test_a_malformed_topic_is_explained_as_such() -> None:
    explanation = explain((bound("allow", "#"),), ANYBODY, Publish(topic="a/+"))
    assert explanation.verdict == Deny(reason=DenyReason.MALFORMED)
    assert not explanation.considered[0].matches
    assert "malformed" in explanation.summary


def test_a_delivery_that_one_way_of_subscribing_brings_is_allowed() -> None:
    policy = (bound("deny", "a", qos=frozenset({0})), bound("allow", "a"))
    explanation = explain(policy, ANYBODY, Receive(topic="a"))
    assert explanation.verdict == Allow(rule=policy[1])
    assert explanation.considered[0].why == "forbids some subscriptions to it, not all"
