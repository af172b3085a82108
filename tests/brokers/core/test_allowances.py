from __future__ import annotations

from itertools import product

import pytest

from acl.core.evaluation import PrincipalPolicy, effective
from acl.core.topics import matches
from acl.core.values import Action, Allow, BoundRule, Publish, Receive, Retain, Shared, Subscribe
from brokers.core.allowances import (
    OTHERS,
    RETAINED,
    UNRETAINED,
    Allowance,
    allowances,
    covered,
    covered_together,
    open_end,
    without_open_ends,
)
from brokers.core.ports import DeviationKind
from brokers.core.targets import TARGETS
from tests.brokers.core.faithfulness import PUMP
from tests.brokers.core.nats.test_policy import admitted, bound

ALL = frozenset({0, 1, 2})


class Told:
    """Takes notes."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def __call__(self, rule: BoundRule, _why: str) -> None:
        self.topics.append(rule.rule.topic)


def allowed(action: Action, *policy: BoundRule, told: Told | None = None) -> list[Allowance]:
    return allowances(effective(policy, PUMP), action, told or Told())


def filters(action: Action, *policy: BoundRule) -> list[str]:
    return [each.filter for each in allowed(action, *policy)]


def test_a_deny_is_taken_out_where_filters_can_say_the_rest() -> None:
    assert filters(Action.PUBLISH, bound("allow", "a/#"), bound("deny", "a/+/#")) == ["a"]
    assert filters(Action.PUBLISH, bound("allow", "a/#"), bound("deny", "a/+")) == ["a", "a/+/+/#"]
    assert filters(Action.PUBLISH, bound("allow", "a/b"), bound("deny", "a/#")) == []
    assert filters(Action.PUBLISH, bound("allow", "a/b"), bound("deny", "c/#")) == ["a/b"]


def test_an_allow_is_left_out_and_told_where_filters_can_not_say_the_rest() -> None:
    told = Told()
    assert allowed(Action.SUBSCRIBE, bound("allow", "a/#"), bound("deny", "a/secret/#"), told=told) == []
    assert told.topics == ["a/#"]


def test_a_deny_of_the_other_action_takes_nothing() -> None:
    deny = bound("deny", "a/b", actions=frozenset({Action.SUBSCRIBE}))
    assert filters(Action.PUBLISH, bound("allow", "a/#"), deny) == ["a/#"]


def test_a_deny_with_conditions_takes_the_filter_in_those_ways_alone() -> None:
    policy = (bound("allow", "a/#"), bound("deny", "a/+/#", qos=frozenset({2}), retain=Retain.ONLY))
    parent, whole = allowed(Action.PUBLISH, *policy)
    assert (parent.filter, parent.qos(RETAINED), parent.qos(UNRETAINED)) == ("a", frozenset({2}), frozenset())
    assert (whole.filter, whole.qos(RETAINED), whole.qos(UNRETAINED)) == ("a/#", frozenset({0, 1}), ALL)


def test_a_deny_of_one_shared_group_leaves_the_others_and_plain_subscriptions() -> None:
    policy = (bound("allow", "a"), bound("deny", "a", shared=Shared.ONLY, shared_group="g"))
    [each] = allowed(Action.SUBSCRIBE, *policy)
    assert (each.qos(None), each.qos(OTHERS), each.qos("g")) == (ALL, ALL, frozenset())


def test_an_allow_of_shared_subscriptions_alone_is_not_for_plain_ones() -> None:
    [each] = allowed(Action.SUBSCRIBE, bound("allow", "a", shared=Shared.ONLY, qos=frozenset({1})))
    assert (each.qos(None), each.qos(OTHERS)) == (frozenset(), frozenset({1}))


@pytest.mark.parametrize(
    ("filter", "end"),
    [
        ("a/+", "a/#"),
        ("a/+/#", "a/#"),
        ("a/+/+/#", "a/+/#"),
        ("/+", "/#"),
        ("a/+/b", ""),
        ("a/#", ""),
        ("a", ""),
        ("#", ""),
    ],
)
def test_what_a_broker_grants_beyond_a_filter_that_it_matches_as_a_name(filter: str, end: str) -> None:
    assert open_end(filter) == end


def test_a_filter_with_an_open_end_stays_only_where_what_that_brings_is_allowed() -> None:
    def left(*topics: str) -> tuple[list[str], list[str], list[str]]:
        out, signalled = Told(), Told()
        allowed_ = allowed(Action.SUBSCRIBE, *(bound("allow", topic) for topic in topics))
        return [each.filter for each in without_open_ends(allowed_, out, signalled)], out.topics, signalled.topics

    assert left("a/+") == ([], ["a/+"], [])
    assert left("a/+/#") == ([], ["a/+/#"], [])
    assert left("a/+", "a/#") == (["a/+", "a/#"], [], [])
    assert left("a/+/#", "a") == (["a/+/#", "a"], [], ["a/+/#"])
    assert left("a/+", "a", "a/+/+/#") == (["a/+", "a", "a/+/+/#"], [], ["a/+", "a/+/+/#"])


def test_ways_have_to_be_held_by_what_covers() -> None:
    wide, narrow = allowed(Action.PUBLISH, bound("allow", "a/#", qos=frozenset({0})), bound("allow", "a/b"))
    assert covered("a/b", frozenset({(0, RETAINED)}), [wide])
    assert not covered("a/b", narrow.ways, [wide])
    assert not covered_together("a/b", narrow.ways, [wide])
    assert covered_together("a/b", narrow.ways, [wide, narrow])


LEVELS = ("a", "b", "")
FILTERS = ["a", "+", "#", *("/".join(levels) for levels in product((*LEVELS, "+"), (*LEVELS, "+", "#")))]
NAMES = ["a", "b", *("/".join(levels) for size in (2, 3) for levels in product(LEVELS, repeat=size))]


@pytest.mark.parametrize("name", ["hivemq-ese-file", "vernemq-postgresql"])
def test_one_allow_and_one_deny_of_up_to_two_levels_never_let_more_flow_than_they_should(name: str) -> None:
    """Every pair of filters; what passes and what is delivered on whatever filter is granted."""
    target = TARGETS[name]
    for allow, deny in product(FILTERS, [None, *FILTERS]):
        policy = (bound("allow", allow), *([bound("deny", deny)] if deny else []))
        rendering = target.render([admitted(*policy)])
        engine, state = PrincipalPolicy(policy, PUMP), target.parse(rendering.artifact)
        slack = allow.rstrip("/") if any(each.kind is DeviationKind.WIDER for each in rendering.deviations) else None
        granted = [asked for asked in FILTERS if target.emulate(state, PUMP, Subscribe(topic=asked))]
        for topic in NAMES:
            heard = any(matches(asked, topic) for asked in granted)
            passes = target.emulate(state, PUMP, Publish(topic=topic))
            if topic.rstrip("/") != slack:
                assert not heard or isinstance(engine.evaluate(Receive(topic=topic)), Allow), (allow, deny, topic)
                assert not passes or isinstance(engine.evaluate(Publish(topic=topic)), Allow), (allow, deny, topic)
