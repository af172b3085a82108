from __future__ import annotations

import json
from typing import Any

import pytest

from brokers.core.emqx.rule import EmqxAction, EmqxRule, NotEmqxRules, document_of, rules_of

# The example of EMQX's documentation of the `acl` in an HTTP answer.
ANSWER: list[dict[str, Any]] = [
    {
        "permission": "allow",
        "action": "publish",
        "topic": "acme/${clientid}/up/#",
        "qos": [0, 1],
        "retain": False,
    },
    {"permission": "allow", "action": "subscribe", "topic": "eq acme/cfg/#"},
    {"permission": "deny", "action": "all", "topic": "#"},
]


def test_rules_are_read_and_written_the_same() -> None:
    rules = rules_of(ANSWER)
    assert rules == (
        EmqxRule(
            allow=True,
            action=EmqxAction.PUBLISH,
            topic="acme/${clientid}/up/#",
            qos=frozenset({0, 1}),
            retain=False,
        ),
        EmqxRule(allow=True, action=EmqxAction.SUBSCRIBE, topic="acme/cfg/#", literal=True),
        EmqxRule(allow=False, action=EmqxAction.ALL, topic="#"),
    )
    assert [document_of(rule) for rule in rules] == ANSWER


@pytest.mark.parametrize(
    "document",
    [
        {"permission": "deny", "action": "all", "topic": "a"},
        {"permission": "deny", "action": "all", "topic": "a", "qos": [2, 0, 1], "retain": "all"},
        {"permission": "deny", "action": "pubsub", "topic": "a", "qos": "0,1,2"},
        {"permission": "deny", "action": "all", "topics": ["a"]},
    ],
)
def test_what_the_broker_fills_in_says_the_same(document: dict[str, Any]) -> None:
    assert rules_of([document]) == (EmqxRule(allow=False, action=EmqxAction.ALL, topic="a"),)


@pytest.mark.parametrize(
    ("retain", "read"),
    [("all", None), (True, True), ("true", True), (1, True), ("1", True), (0, False), (False, False)],
)
def test_a_retain_has_many_spellings(retain: object, read: bool | None) -> None:
    (rule,) = rules_of([{"permission": "allow", "action": "pub", "topic": "a", "retain": retain, "qos": 1}])
    assert (rule.retain, rule.qos, rule.action) == (read, frozenset({1}), EmqxAction.PUBLISH)


def test_several_topics_are_several_rules() -> None:
    rules = rules_of([{"permission": "allow", "action": "sub", "topics": ["a", "eq b/#"]}])
    assert [(rule.topic, rule.literal) for rule in rules] == [("a", False), ("b/#", True)]


@pytest.mark.parametrize(
    "document",
    [
        None,
        "rule",
        {},
        {"permission": "maybe", "action": "all", "topic": "a"},
        {"permission": "allow", "action": "connect", "topic": "a"},
        {"permission": "allow", "action": "all"},
        {"permission": "allow", "action": "all", "topic": ""},
        {"permission": "allow", "action": "all", "topics": "a"},
        {"permission": "allow", "action": "all", "topic": "a", "qos": 3},
        {"permission": "allow", "action": "all", "topic": "a", "qos": []},
        {"permission": "allow", "action": "all", "topic": "a", "qos": "x"},
        {"permission": "allow", "action": "all", "topic": "a", "qos": 1.5},
        {"permission": "allow", "action": "all", "topic": "a", "qos": True},
        {"permission": "allow", "action": "all", "topic": "a", "qos": {}},
        {"permission": "allow", "action": "all", "topic": "a", "retain": "sometimes"},
    ],
)
def test_what_is_no_rule_is_refused_by_its_number(document: object) -> None:
    with pytest.raises(NotEmqxRules, match="Rule 2 "):
        rules_of([ANSWER[0], document])


def test_rules_are_an_array() -> None:
    with pytest.raises(NotEmqxRules):
        rules_of(json.loads('{"permission": "allow"}'))
