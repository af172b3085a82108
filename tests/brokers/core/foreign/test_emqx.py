"""EMQX's acl.conf and rules as roles: never more than EMQX allows, and what has no equivalent is listed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import EVERY_QOS, Action, Effect, Principal, Receive, Request, Retain, Subscribe
from brokers.core.emqx import file_emulator as emqx_file_emulator
from brokers.core.emqx import rules_emulator as emqx_rules_emulator
from brokers.core.emqx.file_reading import read_rules
from brokers.core.emqx.rule import rules_of
from brokers.core.emqx.rules import EmqxRules
from brokers.core.foreign.emqx import InvalidAclConf, read_emqx_acl_conf
from brokers.core.foreign.emqx_json import InvalidEmqxRules, read_emqx_rules
from brokers.core.foreign.outcome import ForeignPolicy, Loss
from tests.brokers.core.foreign_judging import CAST, LEVELS, Judged, filter_of, judge, requests

BOTH, PUBLISH, SUBSCRIBE = frozenset(Action), frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def allow(topic: str, actions: frozenset[Action] = BOTH, **more: Any) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=actions, topic=topic, **more)


def deny(topic: str, actions: frozenset[Action] = BOTH, **more: Any) -> RuleSpec:
    return RuleSpec(effect=Effect.DENY, actions=actions, topic=topic, **more)


def rules(foreign: ForeignPolicy) -> list[tuple[str, tuple[RuleSpec, ...]]]:
    return [(role.name, role.rules) for role in foreign.roles]


def notes(foreign: ForeignPolicy) -> list[tuple[str, Loss]]:
    return [(note.place, note.loss) for note in foreign.notes]


def test_names_and_everybody_become_roles() -> None:
    found = read_emqx_acl_conf(
        "%% the plant\n"
        '{allow, {username, "pump 1"}, publish, ["up/${clientid}/#", {eq, "a/b"}]}.\n'
        '{allow, {clientid, "v1"}, {subscribe, [{qos, [0, 1]}]}, ["down/${username}"]}.\n'
        '{allow, all, {publish, {retain, false}}, ["cn/${cert_common_name}"]}.\n'
        "{deny, all}.\n"
    )
    assert rules(found) == [
        ("emqx-everybody", (allow("cn/${cert.cn}", PUBLISH, retain=Retain.NEVER),)),
        ("pump-1", (allow("up/${client_id}/#", PUBLISH), allow("a/b", PUBLISH))),
        ("v1", (allow("down/${username}", SUBSCRIBE, qos=frozenset({0, 1})),)),
    ]
    assert [(each.role, each.auth_id, each.client_id) for each in found.bindings] == [
        ("emqx-everybody", None, None),
        ("pump-1", "pump 1", None),
        ("v1", None, "v1"),
    ]
    assert notes(found) == [("line 5", Loss.SAME)]


def test_file_that_emqx_ships_with_comes_to_what_it_means_for_devices() -> None:
    found = read_emqx_acl_conf(
        '{allow, {username, {re, "^dashboard$"}}, subscribe, ["$SYS/#"]}.\n'
        '{allow, {ipaddr, "127.0.0.1"}, all, ["$SYS/#", "#"]}.\n'
        '{deny, all, subscribe, ["$SYS/#", {eq, "#"}, {eq, "+/#"}]}.\n'
        "{allow, all}.\n"
    )
    assert rules(found) == [
        (
            "emqx-everybody",
            (deny("$SYS/#", SUBSCRIBE), deny("#", SUBSCRIBE), deny("+/#", SUBSCRIBE), allow("#")),
        )
    ]
    assert notes(found)[:3] == [("line 1", Loss.LEFT_OUT), ("line 2", Loss.LEFT_OUT), ("line 3", Loss.NARROWER)]
    assert ("line 4", Loss.NARROWER) in notes(found)


def test_deny_that_depends_on_more_than_a_name_holds_for_everybody() -> None:
    found = read_emqx_acl_conf(
        '{deny, {ipaddr, "10.0.0.0/8"}, publish, ["a/b"]}.\n{allow, {username, "v1"}, publish, ["a/+"]}.\n'
    )
    assert rules(found) == [("emqx-everybody", (deny("a/b", PUBLISH),)), ("v1", (allow("a/+", PUBLISH),))]
    assert notes(found) == [("line 1", Loss.NARROWER)]


def test_placeholders_that_are_not_known_here_leave_an_allow_out_and_widen_a_deny() -> None:
    found = read_emqx_acl_conf(
        '{allow, all, all, ["t/${client_attrs.tenant}/#"]}.\n'
        '{deny, all, publish, ["${client_attrs.tenant}/x"]}.\n'
        '{allow, all, publish, ["$s/x", "a/$x"]}.\n'
    )
    assert rules(found)[0][1] == (
        deny("+/x", PUBLISH),
        deny("$s/x", PUBLISH),
        allow("$s/x", PUBLISH),
        allow("a/$x", PUBLISH),
    )
    assert notes(found) == [("line 1", Loss.LEFT_OUT), ("line 2", Loss.NARROWER)]


def test_rules_that_never_match_are_left_out() -> None:
    found = read_emqx_acl_conf(
        '{deny, all, {publish, [{qos, []}]}, ["a"]}.\n'
        '{allow, all, all, ["$queue/a"]}.\n'
        '{allow, all, subscribe, ["a"]}.\n'
    )
    assert rules(found) == [("emqx-everybody", (allow("$queue/a", PUBLISH), allow("a", SUBSCRIBE)))]
    assert notes(found) == [("line 1", Loss.SAME), ("line 2", Loss.SAME)]


def test_file_that_is_not_wholly_understood_is_refused_since_it_could_hold_a_deny() -> None:
    with pytest.raises(InvalidAclConf) as caught:
        read_emqx_acl_conf('{allow, all}.\n\n{dny, all, all, ["a"]}.\n{allow, all, all, ["a"]\n')
    assert [fault.pointer for fault in caught.value.errors] == ["/lines/3", "/lines/5"]


def rule(permission: str, action: str, topic: str, **more: Any) -> dict[str, Any]:
    return {"permission": permission, "action": action, "topic": topic, **more}


def test_rules_of_the_database_are_read_in_every_form_of_the_api() -> None:
    one = {"username": "pump", "rules": [rule("allow", "publish", "up/${clientid}", qos=[1], retain=True)]}
    expected = [("pump", (allow("up/${client_id}", PUBLISH, qos=frozenset({1}), retain=Retain.ONLY),))]
    documents: list[Any] = [one, [one], {"data": [one], "meta": {}}]
    for document in documents:
        assert rules(read_emqx_rules(json.dumps(document))) == expected
    bare = [rule("allow", "all", "eq a/b")]
    documents = [bare, {"rules": bare}]
    for document in documents:
        assert rules(read_emqx_rules(json.dumps(document))) == [("emqx-everybody", (allow("a/b"),))]


def test_rules_of_client_ids_are_asked_before_those_of_usernames_and_those_for_all_last() -> None:
    document = [
        {"rules": [rule("deny", "all", "#")]},
        {"username": "pump", "rules": [rule("allow", "publish", "a")]},
        {"clientid": "pump", "rules": [rule("deny", "publish", "a")]},
    ]
    found = read_emqx_rules(json.dumps(document))
    assert rules(found) == [("pump", (allow("a", PUBLISH),)), ("pump-2", (deny("a", PUBLISH),))]
    assert notes(found) == [("/0/rules/0", Loss.SAME)]


def test_conditions_that_are_not_known_here_leave_an_allow_out_and_not_a_deny() -> None:
    document = [rule("deny", "publish", "a", ipaddr="10.0.0.0/8"), rule("allow", "publish", "b", zone="z")]
    found = read_emqx_rules(json.dumps(document))
    assert rules(found) == [("emqx-everybody", (deny("a", PUBLISH),))]
    assert notes(found) == [("/0", Loss.NARROWER), ("/1", Loss.LEFT_OUT)]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("{", None),
        ('{"a": 1, "a": 2}', None),
        ("{}", ""),
        ('[{"username": 1, "rules": []}]', "/0/username"),
        ('{"data": [{"rules": [{"permission": "maybe"}]}]}', "/data/0/rules/0"),
        ('[{"permission": "deny", "action": "all"}]', "/0"),
    ],
)
def test_what_is_not_understood_is_told_with_its_place(text: str, pointer: str | None) -> None:
    with pytest.raises(InvalidEmqxRules) as caught:
        read_emqx_rules(text)
    assert [fault.pointer for fault in caught.value.errors] == ([] if pointer is None else [pointer])


MARKS = ("${clientid}", "${username}", "x${clientid}", "${client_attrs.t}", "${$}x", "${other}")


def topic_of(roll: random.Random) -> str:
    found = filter_of(roll, (*LEVELS, roll.choice(MARKS)))
    return f"eq {found}" if roll.random() < 0.2 else found


def rule_of(roll: random.Random) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if roll.random() < 0.2:
        more["qos"] = roll.sample(sorted(EVERY_QOS), roll.randint(1, 2))
    action = roll.choice(["publish", "subscribe", "all"])
    if action == "publish" and roll.random() < 0.2:
        more["retain"] = roll.random() < 0.5
    return rule(roll.choice(["allow", "allow", "deny"]), action, topic_of(roll), **more)


def judged(
    foreign: ForeignPolicy,
    topics: Sequence[str],
    roll: random.Random,
    principal: Principal,
    emulator: Any,
    state: Any,
) -> Judged:
    literal = [topic.removeprefix("eq ") for topic in topics if topic.startswith("eq ")]
    near = [topic.removeprefix("eq ").replace("${clientid}", "pump").replace("${$}", "$") for topic in topics]

    def delivers(wanted: Subscribe, name: str) -> bool:
        """Who may ask for one literal filter may receive all under it, and that is what counts."""
        asked = [wanted._replace(topic=topic) for topic in (wanted.topic, *literal)]
        return any(emulator.deliverable(state, principal, each, name) for each in asked)

    def source(asked: Request) -> bool:
        if isinstance(asked, Receive):
            return any(delivers(Subscribe(topic=asked.topic, qos=qos), asked.topic) for qos in EVERY_QOS)
        return bool(emulator.emulate(state, principal, asked))

    return judge(foreign, principal, requests(roll, near, 15), source=source, delivers=delivers, roll=roll)


def try_rules(files: int, *, seed: int) -> int:
    """How many requests the imports allow; each of them is allowed by its rules."""
    roll, allowed = random.Random(seed), 0
    for _ in range(files):
        everyone, client, pump, valve = ([rule_of(roll) for _ in range(roll.randint(0, 5))] for _ in range(4))
        document = [
            {"rules": everyone},
            {"clientid": "pump", "rules": client},
            {"username": "pump", "rules": pump},
            {"username": "v1", "rules": valve},
        ]
        users = {"pump": rules_of(pump), "v1": rules_of(valve)}
        state = EmqxRules(everyone=rules_of(everyone), clients={"pump": rules_of(client)}, users=users)
        foreign = read_emqx_rules(json.dumps(document))
        topics = [each["topic"] for each in (*everyone, *client, *pump, *valve)]
        for principal in CAST:
            found = judged(foreign, topics, roll, principal, emqx_rules_emulator, state)
            allowed += found.allowed
            assert found.wider == [], (json.dumps(document), principal.auth_id)
    return allowed


def line_of(roll: random.Random, topics: list[str]) -> str:
    who = ["all", "all", '{username, "pump"}', '{clientid, "v1"}', '{\'or\', [{user, "v1"}, {clientid, "pump"}]}']
    odd = ['{username, {re, "^p"}}', '{\'and\', [{username, "pump"}, {clientid, "pump"}]}']
    options = [f"{{qos, [{roll.randint(0, 2)}]}}"] if roll.random() < 0.2 else []
    action = roll.choice(["publish", "subscribe", "all"])
    if action == "publish" and roll.random() < 0.2:
        options.append("{retain, true}")
    if roll.random() < 0.1:
        about = "all"
    else:
        found = [topic_of(roll) for _ in range(roll.randint(1, 2))]
        topics += found
        about = f"[{', '.join(map(json.dumps, found))}]"
    said = f"{{{action}, [{', '.join(options)}]}}" if options else action
    return f"{{{roll.choice(['allow', 'allow', 'deny'])}, {roll.choice(who + odd)}, {said}, {about}}}."


def try_files(files: int, *, seed: int) -> int:
    """How many requests the imports allow; each of them is allowed by its file."""
    roll, allowed = random.Random(seed), 0
    for _ in range(files):
        topics: list[str] = []
        text = "\n".join(line_of(roll, topics) for _ in range(roll.randint(1, 7)))
        foreign, state = read_emqx_acl_conf(text), read_rules(text)[0]
        for principal in CAST:
            found = judged(foreign, topics, roll, principal, emqx_file_emulator, state)
            allowed += found.allowed
            assert found.wider == [], (text, principal.auth_id)
    return allowed


def test_import_is_never_wider_than_the_rules() -> None:
    assert try_rules(200, seed=11) > 1_000


def test_import_is_never_wider_than_the_file() -> None:
    assert try_files(200, seed=12) > 1_000
