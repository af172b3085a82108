"""Each oddity of NanoMQ, with rules written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from acl.core.values import Publish, Receive, Request, Subscribe
from brokers.core.nanomq.emulator import deliverable, emulate, words_match
from brokers.core.nanomq.file import parse
from tests.brokers.core.emqx_cast import PUMP


def passes(request: Request, *documents: dict[str, Any], **facts: Any) -> bool:
    text = f"rules = [{' '.join(map(json.dumps, documents))}]"
    return emulate(parse(text), replace(PUMP, **facts), request)


def rule(permit: str, *topics: str, **facts: Any) -> dict[str, Any]:
    return {"permit": permit, **facts, "topics": list(topics)}


CLOSED = {"permit": "deny"}


@pytest.mark.parametrize(
    ("own", "asked", "matches"),
    [
        ("a/+", "a/#", True),
        ("a/+/#", "a/#", True),
        ("a/+", "a/b/c", False),
        ("a/+/b", "a/#", False),
        ("a/secret/#", "a/#", False),
        ("a/#", "a", True),
        ("a/#", "a/#", True),
        ("#", "$SYS/x", True),
        ("+/+/a", "$share/g/a", True),
        ("#", "#", True),
        ("a", "a/b", False),
        ("/", "/", True),
    ],
)
def test_words_match(own: str, asked: str, *, matches: bool) -> None:
    assert words_match(own, asked) is matches


def test_the_first_rule_that_matches_decides_and_no_match_is_yes() -> None:
    assert passes(Publish(topic="a"), rule("allow", "a"), CLOSED)
    assert not passes(Publish(topic="a"), CLOSED, rule("allow", "a"))
    assert passes(Publish(topic="a"), rule("deny", "b"))


def test_rules_are_about_an_action_and_a_client() -> None:
    one = rule("allow", "a", action="publish", username="pump")
    assert passes(Publish(topic="a"), one, CLOSED)
    assert not passes(Subscribe(topic="a"), one, CLOSED)
    assert not passes(Receive(topic="a"), one, CLOSED)
    assert not passes(Publish(topic="a"), one, CLOSED, username="x")
    assert passes(Publish(topic="a"), rule("allow", "a", clientid="#"), CLOSED)
    assert not passes(Publish(topic="a"), rule("allow", "a", ipaddr="127.0.0.1"), CLOSED)
    assert passes(Publish(topic="a"), rule("allow", username="#"), CLOSED)  # without topics: all of them


def test_one_that_fails_its_and_makes_all_later_ones_fail() -> None:
    failing = rule("deny", "a", **{"and": [{"username": "x"}, {"clientid": "pump-7"}]})
    good = rule("allow", "a", **{"and": [{"username": "pump"}, {"clientid": "pump-7"}]})
    assert passes(Publish(topic="a"), good, CLOSED)
    assert not passes(Publish(topic="a"), failing, good, CLOSED)
    assert passes(Publish(topic="a"), rule("allow", "a", **{"or": [{"username": "x"}, {"username": "pump"}]}), CLOSED)


def test_an_at_sign_compares_literally_with_placeholders() -> None:
    assert passes(Subscribe(topic="a/+"), rule("allow", "@a/+"), CLOSED)
    assert not passes(Subscribe(topic="a/b"), rule("allow", "@a/+"), CLOSED)
    assert passes(Subscribe(topic="pump/#"), rule("allow", "@${username}/#"), CLOSED)
    assert passes(Publish(topic="@"), rule("allow", "@"), CLOSED)


def test_a_value_that_would_inject_refuses_whatever_comes_later() -> None:
    inject = rule("deny", "x/${clientid}")
    assert passes(Publish(topic="a"), inject, rule("allow", "a"))
    assert not passes(Publish(topic="a"), inject, rule("allow", "a"), client_id="a/b")


def test_a_placeholder_without_a_value_stays_as_text() -> None:
    assert passes(Publish(topic="${username}"), rule("allow", "${username}"), CLOSED, username="")


def test_deliveries_are_not_filtered() -> None:
    rules = parse('rules = [{"permit": "deny", "topics": ["a/secret/#"]} {"permit": "allow", "topics": ["a/#"]}]')
    assert deliverable(rules, PUMP, Subscribe(topic="a/#"), "a/secret/x")
    assert not deliverable(rules, PUMP, Subscribe(topic="a/#"), "b")
