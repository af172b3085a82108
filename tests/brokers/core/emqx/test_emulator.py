"""Each oddity of EMQX, with rules written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acl.core.values import Publish, Receive, Request, Subscribe
from brokers.core.emqx import rules_emulator as emqx_rules_emulator
from brokers.core.emqx.emulator import deliverable, emulate, substituted, words_match
from brokers.core.emqx.rule import EmqxRule, rules_of
from brokers.core.emqx.rules import EmqxRules
from tests.brokers.core.emqx_cast import PUMP


def rules(*lines: str) -> tuple[EmqxRule, ...]:
    """Rules from words such as `allow publish a/b`."""
    return rules_of([dict(zip(("permission", "action", "topic"), line.split(" ", 2), strict=True)) for line in lines])


def passes(request: Request, *lines: str, **facts: Any) -> bool:
    return emulate({"pump": rules(*lines)}, replace(PUMP, **facts), request)


def test_the_first_rule_that_matches_decides() -> None:
    assert passes(Publish(topic="a"), "allow publish a", "deny all #")
    assert not passes(Publish(topic="a"), "deny all #", "allow publish a")
    assert not passes(Publish(topic="a"), "allow subscribe a")
    assert not emulate({}, PUMP, Publish(topic="a"))


@pytest.mark.parametrize(
    ("asked", "rule", "matches"),
    [
        ("a/#", "a/+", True),
        ("a/#", "a/+/#", True),
        ("x/b/#", "+/b/+", True),
        ("a/b/c", "a/+", False),
        ("a/#", "a/+/b", False),
        ("a/#", "a/secret/#", False),
        ("a", "a/#", True),
        ("#", "+", True),
        ("#", "a/#", False),
        ("$SYS/x", "#", False),
        ("$SYS/x", "+/x", False),
        ("$SYS/x", "$SYS/#", True),
        ("a/$x", "a/+", True),
        ("/", "+/+", True),
        ("a/", "a", False),
    ],
)
def test_an_asked_filter_is_matched_as_if_it_were_a_name(asked: str, rule: str, *, matches: bool) -> None:
    assert words_match(asked, rule) is matches


def test_a_deny_that_meets_a_filter_is_not_seen_and_nothing_is_withheld() -> None:
    lists = {"pump": rules("deny subscribe a/secret/#", "allow subscribe a/#")}
    assert emulate(lists, PUMP, Subscribe(topic="a/#"))
    assert deliverable(lists, PUMP, Subscribe(topic="a/#"), "a/secret/x")
    assert not emulate(lists, PUMP, Receive(topic="a/secret/x"))


def test_eq_compares_literally_and_takes_no_placeholder() -> None:
    assert passes(Subscribe(topic="a/+"), "allow subscribe eq a/+")
    assert not passes(Subscribe(topic="a/b"), "allow subscribe eq a/+")
    assert not passes(Publish(topic="a/pump"), "allow publish eq a/${username}")
    assert passes(Publish(topic="a/${username}"), "allow publish eq a/${username}")


def test_a_placeholder_without_a_value_skips_the_rule_even_a_deny() -> None:
    lines = ("deny publish ${client_attrs.site}/#", "allow publish #")
    assert passes(Publish(topic="x/y"), *lines)
    assert not passes(Publish(topic="x/y"), *lines, attributes={"site": "x"})


def test_a_value_is_inserted_as_it_is() -> None:
    assert passes(Publish(topic="a/b"), "allow publish a/${clientid}", client_id="+")
    assert passes(Publish(topic="a/b/c"), "allow publish a/${clientid}", client_id="#")
    assert substituted("${username}/${clientid}", PUMP) == "pump/pump-7"


def test_a_shared_group_is_not_seen() -> None:
    assert passes(Subscribe(topic="a", group="g"), "allow subscribe a")
    assert not passes(Subscribe(topic="a", group="g"), "allow subscribe $share/g/a")


@pytest.mark.parametrize("topic", ["$queue/a", "$exclusive/a", "/".join("a" * 129)])
def test_what_nobody_can_ask_for_is_refused(topic: str) -> None:
    assert not passes(Subscribe(topic=topic), "allow all #", "allow all $queue/#", "allow all $exclusive/#")


def test_qos_and_retain_narrow_a_rule() -> None:
    lists = {"pump": rules_of([{"permission": "allow", "action": "all", "topic": "a", "qos": [1], "retain": True}])}
    asked = [Publish(topic="a", qos=1, retain=True), Publish(topic="a", qos=1), Publish(topic="a", retain=True)]
    assert [emulate(lists, PUMP, request) for request in asked] == [True, False, False]
    assert emulate(lists, PUMP, Subscribe(topic="a", qos=1))
    assert not emulate(lists, PUMP, Subscribe(topic="a", qos=0))
    assert emulate(lists, PUMP, Receive(topic="a"))


def test_rules_of_the_client_id_are_asked_before_those_of_the_username() -> None:
    state = EmqxRules(
        clients={"pump-7": rules("allow publish a")},
        users={"pump": rules("deny publish a", "deny publish b")},
        everyone=rules("allow publish b", "allow publish c"),
    )
    answers = [emqx_rules_emulator.emulate(state, PUMP, Publish(topic=topic)) for topic in "abcd"]
    assert answers == [True, False, True, False]


def test_no_match_holds_where_no_rule_matches() -> None:
    assert emqx_rules_emulator.emulate(EmqxRules(no_match="allow"), PUMP, Publish(topic="a"))
    assert emqx_rules_emulator.emulate(EmqxRules(no_match="allow"), PUMP, Receive(topic="a"))
    assert not emqx_rules_emulator.emulate(EmqxRules(), PUMP, Publish(topic="a"))


def test_a_list_that_says_nothing_leaves_the_request_to_what_stands_behind() -> None:
    lists = {"pump": rules("allow publish a", "deny publish b")}
    answers = [emulate(lists, PUMP, Publish(topic=topic), behind=True) for topic in "abc"]
    assert answers == [True, False, True]
    assert not emulate(lists, PUMP, Publish(topic="c"))


def test_a_message_that_only_some_qos_are_denied_is_left_to_what_stands_behind() -> None:
    [deny] = rules_of([{"permission": "deny", "action": "subscribe", "topic": "a", "qos": [0]}])
    assert emulate({"pump": (deny,)}, PUMP, Receive(topic="a"), behind=True)
    assert not emulate({"pump": (deny,)}, PUMP, Receive(topic="a"))
