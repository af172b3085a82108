from __future__ import annotations

from dataclasses import replace
from time import process_time
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.analysis_conditions import ALWAYS, NEVER, Held, Same, every, holds, negated, some
from acl.core.analysis_who_can import Answer, PublishWithin, Question, ReceiveWithin, rule_that_lets, who_could
from acl.core.topics import InvalidTopic
from acl.core.values import (
    Action,
    BoundRule,
    Effect,
    Principal,
    Publish,
    Role,
    RoleId,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from tests.acl.core.strategies import requests, rules
from tests.cast import NORTH

PUMP, VALVE = RoleId(UUID(int=1)), RoleId(UUID(int=2))
P7 = Principal(id="7", auth_id="p-7", client_id="p-7", username="p-7", domain="north", attributes={"site": "hall"})
P8 = replace(P7, id="8", auth_id="p-8", client_id="p-8", username="p-8", attributes={})
ODD = replace(P7, id="9", attributes={"site": "a/b"})


def role(*topics: str, id: RoleId = PUMP, actions: frozenset[Action] = frozenset(Action)) -> Role:
    """A role of rules; a template that begins with `!` is denied."""
    made = tuple(
        Rule(
            id=RuleId(UUID(int=100 * id.int + number)),
            effect=Effect.DENY if topic.startswith("!") else Effect.ALLOW,
            actions=actions,
            topic=topic.removeprefix("!"),
        )
        for number, topic in enumerate(topics)
    )
    return Role(id=id, domain=NORTH, name=f"r{id.int}", rules=made)


def may(question: Question, *roles: Role) -> list[str]:
    answer = who_could(roles, question, domain="north")
    held = [each.id for each in roles]
    return [device.id for device in (P7, P8, ODD) if holds(answer.condition, device, held)]


def test_a_placeholder_that_is_spelled_makes_an_equality() -> None:
    pump = role("${domain}/${client_id}/up/#")
    answer = who_could([pump], Publish(topic="north/p-7/up/t"), domain="north")
    assert answer.condition == every(Held(frozenset({PUMP})), Same((("client_id",),), ("p-7",)))
    assert who_could([pump], Publish(topic="south/p-7/up/t"), domain="north").grants == ()


def test_roles_with_the_same_condition_are_one() -> None:
    answer = who_could([role("a/#"), role("+/b", id=VALVE)], Publish(topic="a/b"), domain="north")
    assert answer.condition == Held(frozenset({PUMP, VALVE}))


def test_who_can_publish_by_attribute() -> None:
    assert may(Publish(topic="hall/t"), role("${attr.site}/t")) == ["7"]
    assert may(Publish(topic="a/b/t"), role("${attr.site}/t")) == []  # an unsafe value never widens an allow


def test_a_deny_without_a_value_takes_from_everybody_it_may_be_about() -> None:
    assert may(Publish(topic="yard/t"), role("#", "!${attr.site}/t")) == ["7"]
    assert may(Publish(topic="hall/t"), role("#", "!${attr.site}/t")) == []
    assert may(Publish(topic="hall"), role("#", "!x/${attr.site}")) == ["7", "8", "9"]
    assert may(Publish(topic="x/a/b/c"), role("#", "!x/${attr.site}")) == ["7"]  # widened to x/#


def test_a_subscription_is_refused_where_a_deny_meets_it() -> None:
    assert may(Subscribe(topic="hall/#"), role("+/#", "!${attr.site}/secret")) == []
    assert may(Subscribe(topic="yard/#"), role("+/#", "!${attr.site}/secret")) == ["7"]


def test_publishing_within_a_filter_needs_a_name_that_no_deny_takes() -> None:
    assert may(PublishWithin(topic="+/up/#"), role("${client_id}/up/a", "!${client_id}/up/#")) == []
    assert may(PublishWithin(topic="+/up/#"), role("${client_id}/#", "!${client_id}/up/a")) == ["7", "8", "9"]
    assert may(PublishWithin(topic="+/up/#"), role("hall/#", "!${attr.site}/#")) == []  # P8: +/# has been taken
    assert may(PublishWithin(topic="yard/#"), role("yard/#", "!${attr.site}/#")) == ["7"]


def test_denies_that_take_all_only_together_are_left_to_be_judged_one_by_one() -> None:
    pump = role("a/#", "!a", "!a/+/#")
    answer = who_could([pump], PublishWithin(topic="a/#"), domain="north")
    assert (answer.grants, answer.unsure) == ((), Held(frozenset({PUMP})))
    assert rule_that_lets(bound(pump), P7, PublishWithin(topic="a/#")) is None
    assert rule_that_lets(bound(role("a/#", "!a")), P7, PublishWithin(topic="a/#")) is not None


def test_what_may_grow_too_long_is_left_to_be_judged_one_by_one() -> None:
    answer = who_could([role("a/" + "b" * 65_500 + "${client_id}")], Publish(topic="a"), domain="north")
    assert (answer.grants, answer.unsure) == ((), Held(frozenset({PUMP})))


def test_who_could_refuses_what_is_no_topic() -> None:
    with pytest.raises(InvalidTopic):
        who_could([], Publish(topic="a/+"), domain="north")
    with pytest.raises(InvalidTopic):
        who_could([], PublishWithin(topic="a/#/b"), domain="north")


def test_roles_that_one_may_not_have_are_none_that_help() -> None:
    barred = negated(Held(frozenset({PUMP})))
    both = every(Held(frozenset({PUMP, VALVE})), barred)
    assert both == every(Held(frozenset({VALVE})), barred)
    held = [holds(both, P7, roles) for roles in ([], [PUMP], [VALVE], [PUMP, VALVE])]
    assert held == [False, False, True, False]
    assert every(Held(frozenset({PUMP})), negated(Held(frozenset({PUMP, VALVE})))) == NEVER


def test_conditions_are_said_shortly() -> None:
    same = Same((("client_id",),), ("a",))
    assert every(same, negated(same)) == NEVER
    assert some(same, every(same, Held(frozenset({PUMP})))) == same
    assert (every(), some(), negated(ALWAYS), some(same, ALWAYS)) == (ALWAYS, NEVER, NEVER, ALWAYS)


def bound(*roles: Role) -> tuple[BoundRule, ...]:
    return tuple(BoundRule(rule=rule, role_name=role.name) for role in roles for rule in role.rules)


values = st.sampled_from(["a", "b", "$a", "a/b", "+", "", "\x07"])
attributes = st.one_of(values, st.booleans(), st.sampled_from([1, 1.5]))
devices = st.builds(
    Principal,
    id=st.just("1"),
    auth_id=values,
    client_id=values,
    username=values,
    domain=st.sampled_from(["a", "b"]),
    attributes=st.dictionaries(
        st.just("site"), st.one_of(values, st.booleans(), st.sampled_from([1, 1.5])), max_size=1
    ),
)
levels = st.sampled_from(
    ["a", "b", "+", "", "${client_id}", "${attr.site}", "${domain}", "x${auth_id}", "${auth_id}${attr.site}"]
)
templates = st.builds(
    lambda found, last: "/".join([*found, last]),
    st.lists(levels, max_size=2),
    st.sampled_from(["a", "#", "+", "${client_id}", "${attr.site}", "$a"]),
)
plain = templates.filter(lambda text: "$" not in text)
questions = st.one_of(requests, st.builds(PublishWithin, topic=plain), st.builds(ReceiveWithin, topic=plain))


@st.composite
def held_roles(draw: st.DrawFn, id: RoleId) -> Role:
    found = draw(st.lists(rules(templates), max_size=3))
    numbered = enumerate(each.rule for each in found)
    made = tuple(replace(rule, id=RuleId(UUID(int=100 * id.int + number))) for number, rule in numbered)
    return Role(id=id, domain=NORTH, name=f"r{id.int}", rules=made)


@settings(max_examples=250)
@given(held_roles(PUMP), held_roles(VALVE), devices, questions)
def test_the_condition_agrees_with_the_evaluation_of_every_device(
    pump: Role, valve: Role, device: Principal, question: Question
) -> None:
    try:
        answer = who_could([pump, valve], question, domain=device.domain)
    except InvalidTopic:
        return
    for held in ([], [pump], [pump, valve]):
        _agrees(answer, held, device, question)


def _agrees(answer: Answer, held: list[Role], device: Principal, question: Question) -> None:
    ids = [each.id for each in held]
    if not holds(answer.unsure, device, ids):
        really = rule_that_lets(bound(*held), device, question) is not None
        assert holds(answer.condition, device, ids) == really


def test_what_would_be_too_much_work_is_left_to_be_judged_one_by_one() -> None:
    hostile = role(*(f"b{n}/+" for n in range(200)), *(f"!+/c{n}" for n in range(200)))
    started = process_time()
    answer = who_could([hostile, role("x", id=VALVE)], ReceiveWithin(topic="#"), domain="north")
    assert process_time() - started < 5
    assert (answer.condition, answer.grants) == (NEVER, ())
    assert holds(answer.unsure, P7, [PUMP])
    assert holds(answer.unsure, P7, [VALVE])


def test_the_same_rules_in_many_shared_groups_are_judged_once() -> None:
    shared = [replace(each, shared=Shared.ONLY, shared_group=f"g{n}") for n, each in enumerate(role(*"ab" * 40).rules)]
    many = replace(role("c/+", "!c/x"), rules=(*shared, *role("c/+", "!c/x", id=VALVE).rules))
    answer = who_could([many], ReceiveWithin(topic="c/#"), domain="north")
    assert [grant.rule.topic for grant in answer.grants] == ["c/+"]
    assert answer.unsure == NEVER


def test_conditions_that_imply_another_are_left_out_of_some() -> None:
    left, right = Same((("client_id",),), ("a",)), Same((("client_id",),), ("b",))
    more = Same((("device_type",),), ("pump",))
    assert some(every(left, more), left, right) == some(left, right)
    assert some(every(left, more, right), every(left, more)) == every(left, more)
