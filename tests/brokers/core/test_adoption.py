"""What a broker holds otherwise than the policy, as rules of single devices: never more than it holds."""

from __future__ import annotations

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import EVERY_QOS, Action, Publish, Request, Retain, Subscribe
from acl.core.values import Effect as RuleEffect
from brokers.core.adoption import ODD, UNTOLD, Adoptee, Judge, OwnRules, left_by, own_rules_of
from brokers.core.ports import Effect, EffectLine

SEND = EffectLine(auth_id="p-1", action="publish", filter="a/+/b")
HEAR = EffectLine(auth_id="p-1", action="subscribe", filter="c/#")


def rule(
    line: EffectLine, effect: str = "allow", qos: frozenset[int] = EVERY_QOS, retain: Retain = Retain.ANY
) -> RuleSpec:
    actions = frozenset({Action(line.action)})
    return RuleSpec(effect=RuleEffect(effect), actions=actions, topic=line.filter, qos=qos, retain=retain)


def adopted(effect: Effect, judge: Judge, *own: RuleSpec) -> tuple[list[tuple[RuleSpec, ...]], list[str]]:
    """The rules of p-1, and why lines are left."""
    adoptees = {"p-1": Adoptee(name="p-1", own=own)}
    found, left = own_rules_of(effect, adoptees=adoptees, why_not={"app": "It is an application."}, judge=judge)
    return [one.rules for one in found], [each.why for each in left]


def always(_name: str, _request: Request) -> bool:
    return True


def never(_name: str, _request: Request) -> bool:
    return False


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        (lambda _: True, rule(SEND)),
        (lambda each: each.qos < 2, rule(SEND, qos=frozenset({0, 1}))),
        (lambda each: not each.retain, rule(SEND, retain=Retain.NEVER)),
        (lambda each: each.retain and each.qos == 1, rule(SEND, qos=frozenset({1}), retain=Retain.ONLY)),
        (lambda each: each.retain or each.qos == 1, None),  # no single rule says that
        (lambda _: False, None),
        (lambda _: None, None),
    ],
)
def test_rule_has_the_conditions_that_the_broker_has(passes: object, expected: RuleSpec | None) -> None:
    def judge(name: str, request: Request) -> bool | None:
        assert isinstance(request, Publish)
        assert (name, request.topic.count("/"), request.topic[:2], request.topic[-2:]) == ("p-1", 2, "a/", "/b")
        return passes(request)  # type: ignore[operator, no-any-return]

    found = adopted(Effect(lose=(SEND,)), judge)
    assert found == (([(expected,)], []) if expected else ([], [UNTOLD]))


def test_subscription_is_judged_as_it_stands_and_at_each_qos() -> None:
    def judge(_name: str, request: Request) -> bool:
        return request == Subscribe(topic="c/#", qos=0)

    assert adopted(Effect(lose=(HEAR,)), judge) == ([(rule(HEAR, qos=frozenset({0})),)], [])


def test_what_is_missing_is_denied_unless_the_broker_allows_it_in_another_way() -> None:
    assert adopted(Effect(gain=(HEAR,)), never) == ([(rule(HEAR, "deny"),)], [])
    assert adopted(Effect(gain=(HEAR,)), always) == ([], [UNTOLD])


def test_own_rule_that_said_the_opposite_goes() -> None:
    assert adopted(Effect(gain=(HEAR,)), never, rule(HEAR), rule(SEND)) == ([(rule(SEND),)], [])
    assert adopted(Effect(lose=(HEAR,)), always, rule(HEAR, "deny")) == ([()], [])


def test_who_is_no_device_keeps_nothing_and_a_role_does_not_overflow() -> None:
    lines = [EffectLine(auth_id=name, action="publish", filter="x") for name in ("app", "nobody")]
    assert adopted(Effect(lose=tuple(lines)), always) == ([], ["It is an application.", "No device has this name."])
    many = [rule(EffectLine(auth_id="p-1", action="publish", filter=f"t/{number}")) for number in range(500)]
    [why] = adopted(Effect(lose=(SEND,)), always, *many)[1]
    assert "at most 500 rules" in why


def test_device_of_which_anything_differs_still_or_newly_is_left() -> None:
    tried = [OwnRules(auth_id="p-1", name="p-1", rules=(rule(SEND),), lines=(SEND,))]
    before = Effect(lose=(SEND, HEAR))
    assert list(left_by(before, Effect(lose=(HEAR,)), tried)) == []  # that was left before
    other = EffectLine(auth_id="p-2", action="publish", filter="y")
    assert list(left_by(before, Effect(gain=(other,)), tried)) == []
    for after in (Effect(gain=(SEND,)), Effect(gain=(EffectLine(auth_id="p-1", action="publish", filter="z"),))):
        assert [(each.filter, each.has, each.why) for each in left_by(before, after, tried)] == [("a/+/b", True, ODD)]
    assert len(list(left_by(before, Effect(bounded=True), tried))) == 1
