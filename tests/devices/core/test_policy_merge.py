"""Two changes from one base, made into one by hand-worked cases; and what can be said of all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.core.policy_kept import from_kept, to_kept
from devices.core.policy_merge import Decisions, Side, merge, same_policy
from devices.core.windows import ALWAYS, Window


def rule(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=topic)


def role(name: str, *topics: str) -> RoleSpec:
    return RoleSpec(name=name, rules=tuple(map(rule, topics)))


def bound(role: str, target: str = "hall", until: int = 0) -> BindingSpec:
    """Given for ever, or until that day of March."""
    window = Window(not_after=datetime(2027, 3, until, tzinfo=UTC)) if until else ALWAYS
    return BindingSpec(role=role, via=BindingVia.GROUP, target=target, window=window)


def policy(*roles: RoleSpec, bindings: tuple[BindingSpec, ...] = (), quarantine: str | None = None) -> PolicyDocument:
    return PolicyDocument.of(domain="north", quarantine_role=quarantine, roles=roles, bindings=bindings)


PUMPS, MILLS = role("pumps", "up"), role("mills", "grind")
BASE = policy(PUMPS, MILLS, bindings=(bound("pumps"),))


def test_changes_of_different_roles_go_together() -> None:
    present = policy(role("pumps", "up", "down"), MILLS, bindings=(bound("pumps"),))
    draft = policy(PUMPS, role("mills", "grind", "stop"), bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=present, draft=draft)
    assert merged.is_clean
    expected = (role("mills", "grind", "stop"), role("pumps", "up", "down"))
    assert merged.document.roles == expected


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    both = policy(role("pumps", "up", "down"), MILLS, bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=both, draft=both)
    assert merged.is_clean
    assert merged.document == both


def test_two_edits_of_one_role_are_a_conflict_and_the_rest_is_merged() -> None:
    present = policy(role("pumps", "up", "here"), MILLS, bindings=(bound("pumps"),))
    draft = policy(role("pumps", "up", "there"), role("mills", "stop"), bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=present, draft=draft)
    [conflict] = merged.roles
    assert (conflict.name, conflict.base, conflict.present, conflict.draft) == (
        "pumps",
        PUMPS,
        role("pumps", "up", "here"),
        role("pumps", "up", "there"),
    )
    assert merged.document.roles == (role("mills", "stop"), role("pumps", "up", "here"))


@pytest.mark.parametrize(("side", "topic"), [(Side.PRESENT, "here"), (Side.DRAFT, "there")])
def test_a_decision_takes_one_side(side: Side, topic: str) -> None:
    present = policy(role("pumps", "here"), MILLS, bindings=(bound("pumps"),))
    draft = policy(role("pumps", "there"), MILLS, bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=present, draft=draft, decisions=Decisions(roles={"pumps": side}))
    assert merged.is_clean
    assert role("pumps", topic) in merged.document.roles


def test_a_role_made_on_both_sides_differently_is_a_conflict() -> None:
    present = policy(PUMPS, MILLS, role("gates", "a"), bindings=BASE.bindings)
    draft = policy(PUMPS, MILLS, role("gates", "b"), bindings=BASE.bindings)
    [conflict] = merge(base=BASE, present=present, draft=draft).roles
    assert (conflict.name, conflict.base) == ("gates", None)


def test_bindings_of_both_sides_go_together() -> None:
    present = policy(PUMPS, MILLS, bindings=(bound("pumps"), bound("mills", "yard")))
    draft = policy(PUMPS, MILLS, bindings=(bound("mills", "barn"),))
    merged = merge(base=BASE, present=present, draft=draft)
    assert merged.is_clean
    assert merged.document.bindings == (bound("mills", "barn"), bound("mills", "yard"))


def test_a_role_that_the_draft_takes_away_and_others_bound_since_is_a_conflict() -> None:
    present = policy(PUMPS, MILLS, bindings=(bound("pumps"), bound("mills", "yard")))
    draft = policy(PUMPS, bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=present, draft=draft)
    [conflict] = merged.roles
    assert (conflict.name, conflict.draft, conflict.present_uses) == ("mills", None, (bound("mills", "yard"),))
    assert merged.document == present


@pytest.mark.parametrize("side", [Side.PRESENT, Side.DRAFT])
def test_deciding_about_a_role_that_one_side_took_away_takes_its_bindings_with_it(side: Side) -> None:
    present = policy(PUMPS, MILLS, bindings=(bound("pumps"), bound("mills", "yard")))
    draft = policy(PUMPS, bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=present, draft=draft, decisions=Decisions(roles={"mills": side}))
    assert merged.is_clean
    assert merged.document == (present if side is Side.PRESENT else draft)


def test_one_side_changes_a_window_and_the_other_the_role() -> None:
    present = policy(PUMPS, MILLS, bindings=(bound("pumps", until=1),))
    draft = policy(role("pumps", "up", "down"), MILLS, bindings=(bound("pumps"),))
    merged = merge(base=BASE, present=present, draft=draft)
    assert merged.is_clean
    assert merged.document == policy(role("pumps", "up", "down"), MILLS, bindings=(bound("pumps", until=1),))


@pytest.mark.parametrize("side", [Side.PRESENT, Side.DRAFT])
def test_two_windows_of_one_binding_are_a_conflict_and_the_role_itself_is_merged(side: Side) -> None:
    present = policy(PUMPS, MILLS, bindings=(bound("pumps", until=1), bound("mills")))
    draft = policy(role("pumps", "down"), MILLS, bindings=(bound("pumps", until=2),))
    merged = merge(base=BASE, present=present, draft=draft)
    [conflict] = merged.roles
    assert conflict.present_uses == (bound("pumps", until=1),)
    assert conflict.draft_uses == (bound("pumps", until=2),)
    assert bound("pumps", until=1) in merged.document.bindings
    decided = merge(base=BASE, present=present, draft=draft, decisions=Decisions(roles={"pumps": side}))
    assert decided.is_clean
    until = 1 if side is Side.PRESENT else 2
    expected = (bound("mills"), bound("pumps", until=until))
    assert decided.document == policy(role("pumps", "down"), MILLS, bindings=expected)


@pytest.mark.parametrize("side", [Side.PRESENT, Side.DRAFT])
def test_a_binding_given_for_longer_here_and_taken_away_there_is_a_conflict(side: Side) -> None:
    present, draft = policy(PUMPS, MILLS), policy(PUMPS, MILLS, bindings=(bound("pumps", until=2),))
    [conflict] = merge(base=BASE, present=present, draft=draft).roles
    assert (conflict.present_uses, conflict.draft_uses) == ((), draft.bindings)
    decided = merge(base=BASE, present=present, draft=draft, decisions=Decisions(roles={"pumps": side}))
    assert decided.document == (present if side is Side.PRESENT else draft)


def test_a_role_edited_here_and_deleted_there_is_a_conflict() -> None:
    present = policy(MILLS)
    draft = policy(role("pumps", "up", "down"), MILLS, bindings=(bound("pumps"),))
    [conflict] = merge(base=BASE, present=present, draft=draft).roles
    assert (conflict.name, conflict.present) == ("pumps", None)


def test_a_role_that_quarantines_by_now_is_not_taken_away_unasked() -> None:
    present = replace(BASE, quarantine_role="mills")
    draft = policy(PUMPS, bindings=(bound("pumps"),))
    [conflict] = merge(base=BASE, present=present, draft=draft).roles
    assert conflict.name == "mills"
    decided = merge(base=BASE, present=present, draft=draft, decisions=Decisions(roles={"mills": Side.DRAFT}))
    assert decided.is_clean
    assert decided.document.quarantine_role is None


def test_two_quarantine_roles_are_a_conflict() -> None:
    present, draft = replace(BASE, quarantine_role="mills"), replace(BASE, quarantine_role="pumps")
    merged = merge(base=BASE, present=present, draft=draft)
    assert merged.quarantine_role is not None
    assert merged.document.quarantine_role == "mills"
    decided = merge(base=BASE, present=present, draft=draft, decisions=Decisions(quarantine_role=Side.DRAFT))
    assert decided.is_clean
    assert decided.document.quarantine_role == "pumps"


def test_a_new_group_does_not_move_the_policy() -> None:
    assert same_policy(BASE, replace(BASE, groups=(GroupSpec(name="yard"),)))
    assert not same_policy(BASE, replace(BASE, quarantine_role="mills"))


NAMES = ("a", "b", "c")
ROLES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("x", "y", "z"))).map(
    lambda found: tuple(role(name, topic) for name, topic in found.items())
)


@st.composite
def policies(draw: st.DrawFn) -> PolicyDocument:
    roles = draw(ROLES)
    names = [each.name for each in roles]
    pairs = [bound(name, group, until=draw(st.sampled_from([0, 1, 2]))) for name in names for group in ("g", "h")]
    bindings = tuple(pair for pair in pairs if draw(st.booleans()))
    return policy(*roles, bindings=bindings, quarantine=draw(st.sampled_from([None, *names])))


@given(policies(), policies())
def test_a_side_that_changed_nothing_gives_way(base: PolicyDocument, changed: PolicyDocument) -> None:
    forward = merge(base=base, present=base, draft=changed)
    backward = merge(base=base, present=changed, draft=base)
    assert forward.is_clean
    assert backward.is_clean
    assert forward.document == backward.document == changed


@given(policies(), policies(), policies(), st.sampled_from(Side))
def test_a_merge_is_sound_and_decisions_end_every_conflict(
    base: PolicyDocument, present: PolicyDocument, draft: PolicyDocument, side: Side
) -> None:
    merged = merge(base=base, present=present, draft=draft)
    decisions = Decisions(roles={conflict.name: side for conflict in merged.roles}, quarantine_role=side)
    decided = merge(base=base, present=present, draft=draft, decisions=decisions)
    assert decided.is_clean
    for found in (merged.document, decided.document):
        names = {each.name for each in found.roles}
        assert {binding.role for binding in found.bindings} <= names
        assert len({binding.place for binding in found.bindings}) == len(found.bindings)
        assert found.quarantine_role is None or found.quarantine_role in names


@given(policies())
def test_what_is_kept_is_read_back(document: PolicyDocument) -> None:
    assert from_kept(to_kept(document)) == document
