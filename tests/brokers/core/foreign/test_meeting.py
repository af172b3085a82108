"""What an import may cost: denies and allow rules that all meet each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from brokers.core.foreign.dynsec import read_dynsec
from brokers.core.foreign.emqx import read_emqx_acl_conf
from brokers.core.foreign.meeting import Allows, Effort, ImportTooEntangled, Sourced
from brokers.core.foreign.mosquitto_acl import read_mosquitto_acl
from brokers.core.foreign.order import MOST_RULES, ImportTooLarge
from brokers.core.foreign.outcome import Loss, Notes


def allow(number: int, who: tuple[str, str] | None) -> tuple[int, Sourced, str]:
    rule = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="a/b")
    return number, Sourced(rule=rule, place=str(number), source="", who=who), rule.topic


@pytest.mark.parametrize(
    ("who", "met"),
    [
        (None, [0, 1, 2, 3]),
        (("auth_id", "ann"), [0, 1, 3]),
        (("auth_id", "ben"), [0, 2, 3]),
        (("auth_id", "cat"), [0, 3]),
        (("client_id", "x"), [0, 1, 2, 3]),
        (("client_id", "y"), [0, 1, 2]),
    ],
)
def test_a_deny_meets_what_can_be_about_the_same_one(who: tuple[str, str] | None, met: list[int]) -> None:
    everyone = (None, ("auth_id", "ann"), ("auth_id", "ben"), ("client_id", "x"))
    allows = Allows([allow(number, each) for number, each in enumerate(everyone)], Effort())
    rule = RuleSpec(effect=Effect.DENY, actions=frozenset({Action.PUBLISH}), topic="a/#")
    assert allows.meeting(Sourced(rule=rule, place="", source="", who=who), "a/#") == met
    other = RuleSpec(effect=Effect.DENY, actions=frozenset({Action.SUBSCRIBE}), topic="a/#")
    assert allows.meeting(Sourced(rule=other, place="", source="", who=who), "a/#") == []


def emqx_lists(count: int) -> str:
    first, denied, last = (", ".join(f'"{text}"' % n for n in range(count)) for text in ("+/a%d", "b%d/+", "+/d%d"))
    lines = (("allow", first), ("deny", denied), ("allow", last))
    return "".join(f"{{{effect}, all, subscribe, [{topics}]}}.\n" for effect, topics in lines)


def emqx_literals(count: int) -> str:
    pair = '{allow, all, subscribe, [{eq, "a%d/+"}]}.\n{deny, all, subscribe, [{eq, "b%d/+"}]}.\n'
    return "".join(pair % (number, number) for number in range(count))


def mosquitto(count: int) -> str:
    return "user u\n" + "".join(f"topic read +/a{number}\ntopic deny b{number}/+\n" for number in range(count))


def dynsec(count: int) -> str:
    acls = [
        {"acltype": "publishClientSend", "topic": topic, "priority": 1, "allow": allowed}
        for number in range(count)
        for topic, allowed in ((f"+/a{number}", True), (f"b{number}/+", False))
    ]
    return json.dumps({"roles": [{"rolename": "r", "acls": acls}], "clients": []})


def dynsec_received(count: int) -> str:
    acls = [
        {"acltype": kind, "topic": topic % number, "priority": 1, "allow": True}
        for number in range(count)
        for kind, topic in (("subscribePattern", "+/a%d"), ("publishClientReceive", "b%d/+"))
    ]
    return json.dumps({"roles": [{"rolename": "r", "acls": acls}], "clients": []})


CASES = [
    (read_emqx_acl_conf, emqx_lists),
    (read_emqx_acl_conf, emqx_literals),
    (read_mosquitto_acl, mosquitto),
    (read_dynsec, dynsec),
    (read_dynsec, dynsec_received),
]


@pytest.mark.parametrize(("read", "text"), CASES)
def test_what_all_meets_each_other_is_read_or_refused_soon(
    read: Callable[[str], object], text: Callable[[int], str]
) -> None:
    read(text(100))
    began = process_time()
    with pytest.raises(ImportTooEntangled, match=r"import it in parts"):
        read(text(2_000))
    assert process_time() - began < 10


def test_more_rules_than_are_read_in_one_import_are_refused() -> None:
    with pytest.raises(ImportTooLarge, match=r"more than 40000 rules: import it in parts"):
        read_mosquitto_acl("user u\n" + "topic read a\n" * (MOST_RULES + 1))


def test_a_rule_that_loses_to_many_denies_is_noted_once() -> None:
    text = "".join(f'{{allow, all, publish, ["+/{n}"]}}.\n{{deny, all, publish, ["b{n}/+"]}}.\n' for n in range(3))
    found = read_emqx_acl_conf(text + '{allow, all, publish, ["#"]}.\n').notes
    noted = {note.place: note.why for note in found if note.loss is Loss.NARROWER}
    assert list(noted) == ["line 1", "line 3", "line 5"]
    assert noted["line 1"] == (
        'It stands before the deny at line 2, which wins here: {deny, all, publish, ["b0/+"]}. So do 2 more.'
    )
    assert noted["line 5"].endswith('{deny, all, publish, ["b2/+"]}.')


def test_many_who_have_nothing_in_common_are_read() -> None:
    text = "".join(f"user u{number}\ntopic read a/{number}\ntopic deny #\n" for number in range(1_000))
    assert len(read_mosquitto_acl(text).roles) == 1_000


def test_what_a_note_says_is_bounded() -> None:
    notes = Notes()
    notes.add("line 1", Loss.SAME, "x", "y" * 100_000)
    assert len(notes.all()[0].why) == 1_000
