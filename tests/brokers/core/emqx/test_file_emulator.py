from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acl.core.values import CertificateFields, Publish, Receive, Request, Subscribe
from brokers.core.emqx.file import parse
from brokers.core.emqx.file_emulator import deliverable, emulate
from tests.brokers.core.emqx.test_file_reading import SHIPPED
from tests.brokers.core.emqx_cast import PUMP


def passes(request: Request, text: str, **facts: Any) -> bool:
    return emulate(parse(text), replace(PUMP, **facts), request)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (Publish(topic="a"), True),
        (Publish(topic="$SYS/x"), True),
        (Subscribe(topic="$SYS/x"), False),
        (Subscribe(topic="#"), False),
        (Subscribe(topic="+/#"), False),
        (Subscribe(topic="a/#"), True),
        (Subscribe(topic="+/+/#"), True),
        (Receive(topic="$SYS/x"), False),
    ],
)
def test_the_file_that_is_shipped_allows_nearly_everything(request_: Request, *, answer: bool) -> None:
    assert passes(request_, SHIPPED) is answer


@pytest.mark.parametrize(
    ("who", "met"),
    [
        ("all", True),
        ('{username, "pump"}', True),
        ('{username, "pump-7"}', False),
        ('{clientid, "pump-7"}', True),
        ('{clientid, {re, "-[0-9]"}}', True),
        ('{clientid, {re, "^x"}}', False),
        ('{clientid, {re, "("}}', False),
        ('{client_attr, "site", "hall"}', True),
        ('{client_attr, "site", {re, "^h"}}', True),
        ('{client_attr, "other", "hall"}', False),
        ('{\'and\', [{username, "pump"}, {clientid, "x"}]}', False),
        ('{\'or\', [{username, "pump"}, {clientid, "x"}]}', True),
        ("{'or', []}", False),
        ('{ipaddr, "127.0.0.1"}', False),
        ("{zone, default}", False),
    ],
)
def test_whom_a_rule_is_about(who: str, *, met: bool) -> None:
    text = f'{{allow, {who}, publish, ["a"]}}.'
    assert passes(Publish(topic="a"), text, attributes={"site": "hall"}) is met


def test_who_has_no_username_is_met_by_none() -> None:
    text = '{allow, {username, {re, ""}}, publish, ["a"]}.'
    assert passes(Publish(topic="a"), text)
    assert not passes(Publish(topic="a"), text, username="")


def test_conditions_topics_and_placeholders() -> None:
    text = '{allow, all, {publish, [{qos, 1}, {retain, true}]}, ["x", {eq, "${username}"}, "a/${username}"]}.'
    asked = [Publish(topic=topic, qos=1, retain=True) for topic in ("x", "${username}", "a/pump", "pump")]
    assert [passes(each, text) for each in asked] == [True, True, True, False]
    assert not passes(Publish(topic="x", qos=1), text)
    assert not passes(Publish(topic="x", retain=True), text)
    assert not passes(Subscribe(topic="x", qos=1), text)


def test_the_certificates_name_is_a_placeholder() -> None:
    text = '{allow, all, publish, ["${cert_common_name}/a"]}.'
    assert passes(Publish(topic="cn/a"), text, certificate=CertificateFields(cn="cn"))
    assert not passes(Publish(topic="cn/a"), text)


def test_the_bare_all_is_about_dollar_levels_too() -> None:
    assert passes(Publish(topic="$SYS/x"), "{allow, all}.")
    assert not passes(Publish(topic="$SYS/x"), '{allow, all, all, ["#"]}.')


def test_deliveries_are_not_filtered() -> None:
    rules = parse('{deny, all, subscribe, ["a/secret"]}. {allow, all, subscribe, ["a/#"]}.')
    assert deliverable(rules, PUMP, Subscribe(topic="a/#"), "a/secret")
    assert not deliverable(rules, PUMP, Subscribe(topic="a/b"), "a/c")
    assert not emulate(rules, PUMP, Subscribe(topic="$queue/a"))
