"""Mosquitto's ACL file as roles: never more than Mosquitto allows, and what has no equivalent is listed."""

from __future__ import annotations

import random

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Principal
from brokers.core.foreign.mosquitto_acl import read_mosquitto_acl
from brokers.core.foreign.outcome import ForeignBinding, Loss
from brokers.core.mosquitto import acl_emulator as mosquitto
from brokers.core.mosquitto.acl_file import InvalidAclFile, parse
from tests.brokers.core.foreign_judging import CAST, LEVELS, Judged, filter_of, judge, requests

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def allow(topic: str, actions: frozenset[Action] = frozenset(Action)) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=actions, topic=topic)


def deny(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.DENY, actions=frozenset(Action), topic=topic)


def notes(text: str) -> list[tuple[str, Loss]]:
    return [(note.place, note.loss) for note in read_mosquitto_acl(text).notes]


def test_users_and_patterns_become_roles() -> None:
    found = read_mosquitto_acl(
        "# the pumps\nuser pump 1\ntopic write up/#\ntopic read down/#\ntopic both/+\ntopic deny both/x\n\n"
        "user v1\ntopic readwrite v\npattern write fleet/%u/up/#\npattern read %c\n"
    )
    assert [(role.name, role.rules) for role in found.roles] == [
        ("mosquitto-patterns", (allow("fleet/${username}/up/#", PUBLISH), allow("${client_id}", SUBSCRIBE))),
        ("pump-1", (deny("both/x"), allow("up/#", PUBLISH), allow("down/#", SUBSCRIBE), allow("both/+"))),
        ("v1", (allow("v"),)),
    ]
    assert found.bindings == (
        ForeignBinding(role="mosquitto-patterns", place="line 10"),
        ForeignBinding(role="pump-1", place="line 3", auth_id="pump 1"),
        ForeignBinding(role="v1", place="line 9", auth_id="v1"),
    )
    assert [(note.place, note.loss) for note in found.notes] == [("line 6", Loss.NARROWER)]


def test_lines_for_nobody_in_particular_are_listed() -> None:
    assert notes("topic read public/#\nuser v1\ntopic a\n") == [("line 1", Loss.LEFT_OUT)]


def test_user_allow_that_beats_a_pattern_deny_is_listed_as_narrower() -> None:
    text = "user v1\ntopic write a/secret\npattern deny a/#\npattern write a/+\n"
    assert notes(text) == [("line 2", Loss.NARROWER)]
    assert deny("a/#") in read_mosquitto_acl(text).roles[0].rules


def test_pattern_deny_behind_all_that_it_meets_is_left_out() -> None:
    text = "user v1\ntopic write a/secret\npattern deny a/#\npattern write b\n"
    assert notes(text) == [("line 3", Loss.SAME)]
    assert [role.rules for role in read_mosquitto_acl(text).roles] == [
        (allow("b", PUBLISH),),
        (allow("a/secret", PUBLISH),),
    ]


def test_deny_within_what_may_be_subscribed_to_is_listed_since_the_subscription_is_refused() -> None:
    assert notes("user v1\ntopic read a/#\ntopic deny a/secret/#\n") == [("line 3", Loss.NARROWER)]
    assert notes("user v1\ntopic write a/#\ntopic deny a/secret/#\n") == []


def test_mark_within_a_level_is_read_in_two_ways_so_only_a_deny_is_taken_and_widened() -> None:
    text = "pattern read cid-%c/#\npattern read all/#\npattern deny all/%u-x/y\n"
    assert notes(text) == [("line 3", Loss.NARROWER), ("line 1", Loss.LEFT_OUT), ("line 3", Loss.NARROWER)]
    assert read_mosquitto_acl(text).roles[0].rules == (deny("all/+/y"), allow("all/#", SUBSCRIBE))


def test_placeholders_of_ours_are_text_to_mosquitto() -> None:
    text = "user v1\ntopic read a/#\ntopic read x/${client_id}\ntopic deny a/${client_id}/b\ntopic deny ${username}/#\n"
    assert notes(text) == [("line 5", Loss.SAME), ("line 3", Loss.LEFT_OUT), ("line 4", Loss.NARROWER)]
    assert read_mosquitto_acl(text).roles[0].rules == (deny("a/+/b"), allow("a/#", SUBSCRIBE))


def test_patterns_with_placeholders_of_ours_are_listed() -> None:
    text = "pattern read a/#\npattern read ${x}/%u\npattern deny ${x}/%u\n"
    assert notes(text) == [("line 3", Loss.SAME), ("line 2", Loss.LEFT_OUT)]


def test_nobody_gets_to_publish_where_mosquitto_lets_nobody() -> None:
    text = "user v1\ntopic readwrite $SYS/#\ntopic write $CONTROL/x\n"
    assert notes(text) == [("line 2", Loss.SAME), ("line 3", Loss.SAME)]
    assert read_mosquitto_acl(text).roles[0].rules == (allow("$SYS/#", SUBSCRIBE),)


def test_faults_of_the_file_have_their_lines() -> None:
    with pytest.raises(InvalidAclFile) as caught:
        read_mosquitto_acl("user a\ntopic read a/#/b\nnonsense\n")
    assert [fault.pointer for fault in caught.value.errors] == ["/lines/2", "/lines/3"]


def file_of(roll: random.Random) -> str:
    lines = []
    for _ in range(roll.randint(1, 8)):
        if roll.random() < 0.25:
            lines.append(f"user {roll.choice(['pump', 'v1', 'zed'])}")
        word = roll.choice(["topic", "topic", "pattern"])
        access = roll.choice(["read ", "write ", "readwrite ", "deny ", "deny ", ""])
        marks = ("%u", "%c", "x%u") if word == "pattern" else ("${client_id}",)
        lines.append(f"{word} {access}{filter_of(roll, (*LEVELS, *marks))}")
    return "\n".join(lines) + "\n"


def judged(text: str, roll: random.Random, principal: Principal, *, whole_levels: bool) -> Judged:
    foreign, state = read_mosquitto_acl(text), parse(text)
    topics = [line.topic for lines in state.users.values() for line in lines]
    topics += [line.topic.replace("%u", "pump").replace("%c", "pump") for line in state.patterns]
    return judge(
        foreign,
        principal,
        requests(roll, topics, 12),
        source=lambda asked: mosquitto.emulate(state, principal, asked, whole_levels=whole_levels),
        delivers=lambda wanted, name: mosquitto.deliverable(state, principal, wanted, name, whole_levels=whole_levels),
        roll=roll,
    )


def test_import_is_never_wider_than_the_file() -> None:
    assert try_files(250, seed=4) > 1_000


def try_files(files: int, *, seed: int) -> int:
    """How many requests the imports allow; each of them is allowed by its file."""
    roll, allowed = random.Random(seed), 0
    for _ in range(files):
        text = file_of(roll)
        for principal in CAST:
            for whole_levels in (False, True):
                found = judged(text, roll, principal, whole_levels=whole_levels)
                allowed += found.allowed
                assert found.wider == [], (text, principal.auth_id)
    return allowed
