"""What every import shares: names of roles, their size, where they are put, and what is listed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from brokers.core.foreign.filters import first_levels, meet, unhidden
from brokers.core.foreign.meeting import Sourced
from brokers.core.foreign.order import note_overlaps, settled
from brokers.core.foreign.outcome import (
    MOST_NOTES,
    DevicesById,
    ForeignBinding,
    ForeignPolicy,
    Loss,
    Notes,
    RoleDiffers,
    RoleNames,
    literally,
    merged,
    prefixed,
    roles_holding,
)
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.core.windows import Window

BOTH = frozenset(Action)


def allow(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=BOTH, topic=topic)


def deny(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.DENY, actions=BOTH, topic=topic)


def test_names_of_roles_are_those_that_a_role_can_have_each_once() -> None:
    names = RoleNames()
    wanted = ["pump 1", "pump/1", "-a", "\u00e4", "x" * 70, "pump 1"]
    assert [names.of(each) for each in wanted] == ["pump-1", "pump-1-2", "a", "role", "x" * 60, "pump-1-3"]


def test_rules_that_are_too_many_for_a_role_fill_several() -> None:
    rules = [allow(f"a/{number}") for number in range(501)]
    roles = roles_holding([*rules, rules[0]], name="pump", description="", names=RoleNames())
    assert [(role.name, len(role.rules)) for role in roles] == [("pump", 500), ("pump-2", 1)]


def test_foreign_roles_stand_beside_those_that_there_are() -> None:
    kept = RoleSpec(name="kept", rules=(allow("a"),))
    present = PolicyDocument.of(
        domain="north",
        quarantine_role="kept",
        roles=[kept],
        bindings=[BindingSpec(role="kept", via=BindingVia.DOMAIN, target="north")],
        groups=[GroupSpec(name="hall")],
    )
    foreign = ForeignPolicy(
        roles=(kept, RoleSpec(name="new", rules=(allow("b"),))),
        bindings=(
            ForeignBinding(role="new", place="line 1"),
            ForeignBinding(role="new", place="line 2", auth_id="p"),
            ForeignBinding(role="new", place="line 3", client_id="q"),
            ForeignBinding(role="new", place="line 4", auth_id="q"),
        ),
    )
    document, notes = merged(present, foreign, DevicesById(auth={"p": "pump-1"}, client={"q": "pump-2"}))
    assert document == PolicyDocument.of(
        domain="north",
        quarantine_role="kept",
        roles=[kept, RoleSpec(name="new", rules=(allow("b"),))],
        bindings=[
            BindingSpec(role="kept", via=BindingVia.DOMAIN, target="north"),
            BindingSpec(role="new", via=BindingVia.DOMAIN, target="north"),
            BindingSpec(role="new", via=BindingVia.DEVICE, target="pump-1"),
            BindingSpec(role="new", via=BindingVia.DEVICE, target="pump-2"),
        ],
        groups=[GroupSpec(name="hall")],
    )
    assert [(note.place, note.loss, note.source) for note in notes] == [("line 4", Loss.LEFT_OUT, "q")]


def test_role_that_is_given_for_a_time_is_not_given_always_by_importing_it_again() -> None:
    role = RoleSpec(name="new", rules=(allow("b"),))
    until = Window(not_after=datetime(2027, 3, 1, tzinfo=UTC))
    bindings = [BindingSpec(role="new", via=BindingVia.DOMAIN, target="north", window=until)]
    present = PolicyDocument.of(domain="north", roles=[role], bindings=bindings)
    foreign = ForeignPolicy(roles=(role,), bindings=(ForeignBinding(role="new", place="line 1"),))
    document, notes = merged(present, foreign, DevicesById(auth={}, client={}))
    assert document == present
    assert [(note.place, note.loss, note.source) for note in notes] == [("line 1", Loss.LEFT_OUT, "north")]


def test_role_that_says_something_else_is_not_replaced() -> None:
    present = PolicyDocument.of(domain="north", roles=[RoleSpec(name="a")])
    foreign = ForeignPolicy(
        roles=(RoleSpec(name="a", rules=(allow("b"),)),), bindings=(ForeignBinding(role="a", place="line 1"),)
    )
    nobody = DevicesById(auth={}, client={})
    with pytest.raises(RoleDiffers):
        merged(present, foreign, nobody)
    document, _ = merged(present, prefixed(foreign, "old-"), nobody)
    assert [role.name for role in document.roles] == ["a", "old-a"]
    assert [binding.role for binding in document.bindings] == ["old-a"]


def test_notes_are_bounded_and_each_stands_once() -> None:
    notes = Notes()
    for number in (*range(MOST_NOTES), 0):
        notes.add(f"line {number}", Loss.SAME, "x" * 500, "why")
    assert len(notes.all()) == MOST_NOTES
    assert len(notes.all()[0].source) == 200
    notes.add("line 5000", Loss.SAME, "y", "why")
    assert (len(notes.all()), notes.all()[-1].source) == (MOST_NOTES + 1, "1 more")


def test_placeholders_of_ours_are_text_elsewhere() -> None:
    assert literally("a/b", Effect.ALLOW) == "a/b"
    assert literally("a/${x}/#", Effect.ALLOW) is None
    assert literally("a/y${x}/#", Effect.DENY) == "a/+/#"
    assert literally("${x}/#", Effect.DENY) is None


def sourced(*rules: tuple[RuleSpec, str]) -> list[Sourced]:
    return [
        Sourced(rule=rule, place=str(number), source=rule.topic, who=("auth_id", who) if who else None)
        for number, (rule, who) in enumerate(rules)
    ]


def test_deny_is_kept_only_for_what_stands_behind_it() -> None:
    notes = Notes()
    rules = sourced(
        (allow("a/b"), ""),
        (deny("a/#"), "v"),
        (deny("a/+"), "p"),
        (allow("a/c"), "v"),
        (deny("x"), ""),
        (deny("#"), ""),
    )
    kept = settled(rules, notes)
    assert [each.place for each in kept] == ["0", "1", "3", "4"]
    assert [(note.place, note.loss) for note in notes.all()] == [
        ("2", Loss.SAME),
        ("5", Loss.SAME),
        ("0", Loss.NARROWER),
    ]


def test_deny_of_another_action_meets_nothing() -> None:
    publish = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="a/#")
    other = RuleSpec(effect=Effect.DENY, actions=frozenset({Action.SUBSCRIBE}), topic="a/b")
    notes = Notes()
    note_overlaps(sourced((publish, ""), (other, "")), notes)
    assert notes.all() == ()
    assert len(settled(sourced((publish, ""), (other, "")), notes)) == 2


@pytest.mark.parametrize(
    ("granted", "received", "both"),
    [
        ("a/#", "+/b", "a/b"),
        ("a/#", "a", "a"),
        ("a", "a/#", "a"),
        ("a/b", "a/#", "a/b"),
        ("#", "#", "#"),
        ("a/+/c", "a/b/+", "a/b/c"),
        ("a/+", "a", None),
        ("a", "b", None),
        ("#", "$SYS/#", "$SYS/#"),
        ("$SYS/#", "#", None),
        ("a//b", "a/+/b", "a//b"),
        ("a/b/#", "a/+/c/#", "a/b/c/#"),
    ],
)
def test_what_falls_under_both_filters(granted: str, received: str, both: str | None) -> None:
    assert meet(granted, received) == both


def test_hidden_levels_are_told_to_who_would_not_see_them() -> None:
    hidden = first_levels(["$SYS/#", "a/b", "$share/g/$x/y", "$share/g"])
    assert hidden == {"$SYS", "$x"}
    assert unhidden("#", hidden) == ["#", "$SYS/#", "$x/#"]
    assert unhidden("+/b", hidden) == ["+/b", "$SYS/b", "$x/b"]
    assert unhidden("+", {"$s"}) == ["+", "$s"]
    assert unhidden("a/#", hidden) == ["a/#"]
