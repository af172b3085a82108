from __future__ import annotations

import random
from typing import Any

import pytest

from acl.core.values import Publish, Retain, Subscribe
from brokers.core.emqx.file import CAPABILITIES, HEADER, parse, render, write
from brokers.core.emqx.file_emulator import deliverable, emulate
from brokers.core.emqx.file_reading import NotAclConf
from brokers.core.emqx.identity import BY_CLIENT_ID
from brokers.core.ports import RenderSubject
from brokers.core.targets import EMQX_FILE
from tests.brokers.core.emqx_cast import PUBLISH, SUBSCRIBE, admitted, barred, bound, told
from tests.brokers.core.trials import trial

CLOSING = ['{deny, all, all, ["$SYS/#", "$delayed/#", "$file/#"]}.', "{deny, all}."]


def lines(*subjects: RenderSubject) -> list[str]:
    """The lines between the header and the closing denies."""
    written = render(subjects).artifact.removeprefix(HEADER).splitlines()
    assert written[-2:] == CLOSING
    return written[:-2]


def named(name: str, *policy: Any) -> RenderSubject:
    return admitted(*policy, auth_id=name, client_id=name, username=name)


def test_a_file_for_nobody_denies_everything() -> None:
    assert lines() == []


def test_what_principals_have_alike_is_written_once_with_the_brokers_placeholder() -> None:
    policy = (
        bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
        bound("allow", "${domain}/${auth_id}/down/#"),
        bound("allow", "${domain}/all/+"),
    )
    both = """{'or', [{username, "a"}, {username, "b"}]}"""
    assert lines(named("b", *policy), named("a", *policy)) == [
        f'{{deny, {both}, subscribe, [{{eq, "north/all/#"}}]}}.',
        f'{{allow, {both}, publish, ["north/${{username}}/up/#"]}}.',
        f'{{allow, {both}, subscribe, ["north/${{username}}/down/#", "north/all/+"]}}.',
    ]


def test_a_client_id_that_is_not_the_username_is_expanded() -> None:
    assert lines(admitted(bound("allow", "${client_id}/x"))) == [
        '{allow, {username, "pump"}, subscribe, ["pump-7/x"]}.'
    ]


def test_who_is_known_by_its_client_id_has_that_placeholder() -> None:
    subject = admitted(bound("allow", "${client_id}/x"), username="")
    assert lines(subject) == ['{allow, {clientid, "pump-7"}, subscribe, ["${clientid}/x"]}.']
    assert render([subject]).warnings == (BY_CLIENT_ID,)


def test_literal_topics_have_no_placeholder() -> None:
    assert lines(named("a", bound("allow", "${client_id}/+"))) == [
        '{deny, {username, "a"}, subscribe, [{eq, "a/#"}]}.',
        '{allow, {username, "a"}, subscribe, ["${username}/+"]}.',
    ]


@pytest.mark.parametrize("name", ["+", "#"])
def test_a_wildcard_is_no_name_that_becomes_a_placeholder(name: str) -> None:
    policy = (bound("allow", "x/+", actions=PUBLISH), bound("allow", "y/#", actions=PUBLISH))
    template = bound("allow", "${client_id}/z", actions=PUBLISH)  # void for that name
    assert lines(named(name, *policy, template)) == [f'{{allow, {{username, "{name}"}}, publish, ["x/+", "y/#"]}}.']


def test_who_is_barred_is_refused_before_everything() -> None:
    first, *_ = lines(named("a", bound("allow", "x")), barred(auth_id="z", username="z"))
    assert first == '{deny, {username, "z"}, all, ["#", "$SYS/#", "$delayed/#", "$file/#"]}.'


def test_allows_that_begin_with_a_wildcard_stand_behind_the_denied_roots() -> None:
    written = render([named("a", bound("allow", "#", actions=PUBLISH), bound("allow", "$SYS/x"))]).artifact
    assert written.removeprefix(HEADER).splitlines() == [
        '{allow, {username, "a"}, subscribe, ["$SYS/x"]}.',
        CLOSING[0],
        '{allow, {username, "a"}, publish, ["#"]}.',
        CLOSING[1],
    ]


def test_denies_of_all_stand_before_the_allows_of_any() -> None:
    policy = (bound("allow", "x/#", actions=PUBLISH | SUBSCRIBE), bound("deny", "x/y", actions=PUBLISH | SUBSCRIBE))
    permits = [line.split(",", 1)[0] for line in lines(named("a", *policy), named("b", *policy[:1]))]
    assert permits == sorted(permits, reverse=True)


def test_qos_and_retain_are_written() -> None:
    rule = bound("allow", "x", actions=PUBLISH, qos=frozenset({0, 1}), retain=Retain.NEVER)
    assert lines(named("a", rule)) == ['{allow, {username, "a"}, {publish, [{qos, [0, 1]}, {retain, false}]}, ["x"]}.']


def test_names_that_erlang_would_read_otherwise_are_escaped() -> None:
    hostile = 'a"}, all, ["#"]}.\n{allow, all}. %\\'
    text = render([named(hostile, bound("allow", "x", actions=PUBLISH))]).artifact
    rules = parse(text)
    assert [rule.allow for rule in rules] == [True, False, False]
    assert rules[0].who.value == hostile
    assert write(rules) == text


def test_members_in_any_order_make_the_same_file() -> None:
    policy = (bound("allow", "${client_id}/+"), bound("allow", "x/#"), bound("deny", "x/y"))
    subjects = [named(name, *policy) for name in ("a", "b", "\u00e9", "x y")]
    first = render(subjects).artifact
    random.Random(3).shuffle(subjects)
    assert render(subjects).artifact == first
    assert write(parse(first)) == first


def test_what_is_not_understood_is_named_with_its_line() -> None:
    with pytest.raises(NotAclConf, match="Line 2: "):
        parse("{deny, all}.\n{allow, nobody, all, []}.\n")


def test_the_file_does_what_the_policy_says() -> None:
    subject = admitted(bound("allow", "a/+"), bound("deny", "a/secret"))
    rules = parse(render([subject]).artifact)
    asked = ["a/b", "a/secret", "a/+", "a/#", "#", "$SYS/x"]
    assert [emulate(rules, subject.principal, Subscribe(topic=topic)) for topic in asked] == [True] + [False] * 5
    assert deliverable(rules, subject.principal, Subscribe(topic="a/b"), "a/b")
    assert not emulate(rules, subject.principal, Publish(topic="a/b"))


def test_losses_are_those_of_the_rules() -> None:
    assert told(render([admitted(bound("allow", "a/#"), bound("deny", "a/s/#"))])) == [("a/#", "narrower")]
    assert "username" in CAPABILITIES.placeholders


@pytest.mark.parametrize("hostile", [True, False])
def test_engine_and_broker_agree_or_the_deviation_is_declared(*, hostile: bool) -> None:
    assert trial(EMQX_FILE, seed="emqx-file", pairs=1_500, hostile=hostile).counts["unexplained"] == 0
