"""Policy documents: one order, and what changes from one to another."""

from __future__ import annotations

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from devices.core.policy_document import (
    BindingSpec,
    BindingVia,
    GroupSpec,
    PolicyDifference,
    PolicyDocument,
    RoleChange,
    RoleSpec,
    differences,
)


def allow(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=topic)


def bound(role: str, target: str, via: BindingVia = BindingVia.GROUP) -> BindingSpec:
    return BindingSpec(role=role, via=via, target=target)


PUMPS = RoleSpec(name="pumps", rules=(allow("a"), allow("b")))
VALVES = RoleSpec(name="valves", rules=(allow("v"),))
HALLS = (GroupSpec(name="hall-1"), GroupSpec(name="hall-2"))


def test_document_has_one_order_however_it_is_told() -> None:
    bindings = [bound("pumps", "hall-2"), bound("pumps", "pump-1", BindingVia.DEVICE), bound("pumps", "hall-1")]
    one = PolicyDocument.of(domain="north", roles=[VALVES, PUMPS], bindings=bindings, groups=HALLS)
    other = PolicyDocument.of(domain="north", roles=[PUMPS, VALVES], bindings=bindings[::-1], groups=HALLS[::-1])
    assert one == other
    assert [role.name for role in one.roles] == ["pumps", "valves"]
    assert [(binding.via, binding.target) for binding in one.bindings] == [
        ("device", "pump-1"),
        ("group", "hall-1"),
        ("group", "hall-2"),
    ]


def test_nothing_differs_from_itself() -> None:
    document = PolicyDocument.of(domain="north", roles=[PUMPS], bindings=[bound("pumps", "hall-1")])
    assert differences(document, document).is_empty


def test_what_is_added_changed_and_removed_is_told_apart() -> None:
    after_pumps = RoleSpec(name="pumps", rules=(allow("b"), allow("c")))
    before = PolicyDocument.of(
        domain="north", quarantine_role="valves", roles=[PUMPS, VALVES], bindings=[bound("valves", "hall-1")]
    )
    after = PolicyDocument.of(
        domain="north",
        quarantine_role="pumps",
        roles=[after_pumps, RoleSpec(name="gates")],
        bindings=[bound("gates", "hall-1")],
        groups=HALLS[:1],
    )
    found = differences(before, after)
    assert found == PolicyDifference(
        roles_added=(RoleSpec(name="gates"),),
        roles_changed=(RoleChange(before=PUMPS, after=after_pumps),),
        roles_removed=(VALVES,),
        bindings_added=(bound("gates", "hall-1"),),
        bindings_removed=(bound("valves", "hall-1"),),
        groups_added=HALLS[:1],
        quarantine_role=("valves", "pumps"),
    )
    [change] = found.roles_changed
    assert (change.added, change.removed) == ((allow("c"),), (allow("a"),))


def test_other_order_of_rules_is_a_change_that_adds_and_removes_none() -> None:
    turned = RoleSpec(name="pumps", rules=PUMPS.rules[::-1])
    before, after = (PolicyDocument.of(domain="north", roles=[role]) for role in (PUMPS, turned))
    [change] = differences(before, after).roles_changed
    assert (change.name, change.added, change.removed) == ("pumps", (), ())


def test_group_that_is_not_named_any_more_is_no_change() -> None:
    before = PolicyDocument.of(domain="north", groups=HALLS)
    assert differences(before, PolicyDocument.of(domain="north")).is_empty
