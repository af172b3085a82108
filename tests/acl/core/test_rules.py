from __future__ import annotations

import pytest

from acl.core.rules import InvalidRole, RuleSpec, check_role
from acl.core.values import Action, Effect, Retain, Shared

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def spec(**facts: object) -> RuleSpec:
    return RuleSpec(**{"effect": Effect.ALLOW, "actions": PUBLISH | SUBSCRIBE, "topic": "a", **facts})  # type: ignore[arg-type]


def faults(*rules: RuleSpec, name: str = "pump") -> list[tuple[str, str]]:
    with pytest.raises(InvalidRole) as caught:
        check_role(name=name, rules=rules)
    assert all(error.detail.endswith((".", ")")) for error in caught.value.errors)
    return [(error.pointer, error.code) for error in caught.value.errors]


def test_a_role_without_fault_is_accepted() -> None:
    check_role(
        name="device-default",
        rules=[
            spec(actions=PUBLISH, topic="${domain}/${client_id}/up/#", retain=Retain.NEVER, qos=frozenset({0, 1})),
            spec(actions=SUBSCRIBE, topic="${domain}/all/#", shared=Shared.ONLY, shared_group="workers"),
            spec(retain=Retain.ONLY, shared=Shared.NEVER),
        ],
    )


@pytest.mark.parametrize(
    ("rule", "pointer", "code"),
    [
        (spec(actions=frozenset()), "/rules/0/actions", "required"),
        (spec(topic="a#"), "/rules/0/topic", "invalid-topic"),
        (spec(topic="$share/g/a"), "/rules/0/topic", "invalid-topic"),
        (spec(topic="${nobody}"), "/rules/0/topic", "unknown-placeholder"),
        (spec(topic="${client_id"), "/rules/0/topic", "invalid-topic-template"),
        (spec(qos=frozenset()), "/rules/0/qos", "invalid-qos"),
        (spec(qos=frozenset({3})), "/rules/0/qos", "invalid-qos"),
        (spec(actions=SUBSCRIBE, retain=Retain.ONLY), "/rules/0/retain", "publish-only"),
        (spec(actions=PUBLISH, shared=Shared.ONLY), "/rules/0/shared", "subscribe-only"),
        (spec(shared=Shared.NEVER, shared_group="g"), "/rules/0/shared_group", "needs-shared-only"),
        (spec(shared=Shared.ONLY, shared_group="g/h"), "/rules/0/shared_group", "invalid-group"),
        (spec(shared=Shared.ONLY, shared_group=""), "/rules/0/shared_group", "invalid-group"),
    ],
)
def test_each_fault_is_pointed_at(rule: RuleSpec, pointer: str, code: str) -> None:
    assert faults(rule) == [(pointer, code)]


def test_all_faults_are_told_at_once() -> None:
    assert faults(spec(), spec(), spec(topic=""), name="bad name") == [
        ("/name", "invalid-name"),
        ("/rules/1", "duplicate"),
        ("/rules/2/topic", "invalid-topic"),
    ]


def test_too_many_rules_are_refused() -> None:
    assert faults(*(spec(topic=f"t/{number}") for number in range(501))) == [("/rules", "too-many")]


def test_rule_that_is_too_deep_is_refused() -> None:
    check_role(name="pump", rules=[spec(topic="/".join(["a"] * 200))])
    assert faults(spec(topic="/".join(["a"] * 201))) == [("/rules/0/topic", "too-deep")]
