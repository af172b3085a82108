"""Several at one policy: on SQLite, and on PostgreSQL by tests/test_on_postgresql.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from acl import queries as roles
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role
from acl.services import change_role, create_role
from devices import queries, services
from devices.core.policy_changes import ApprovalRule, ChangeState, PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec, differences
from devices.core.policy_editing import with_binding, with_role
from devices.core.values import DeviceId
from devices.models import Domain
from devices.queries.policy import policy_document
from devices.queries.policy_changes import get_change
from devices.services import policy_changes
from devices.services.bindings import BindingTarget
from kernel.core.actor import Actor, ActorKind
from kernel.core.clock import utc_now
from kernel.queries import list_entries, verify_journal
from tests.cast import ADA, BO, CY, NORTH
from tests.devices.racing import at_once, told

pytestmark = [pytest.mark.several_writers, pytest.mark.django_db(transaction=True)]

MILL = Actor(kind=ActorKind.APPLICATION, id="mill-client", label="mill")


def rule(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=topic)


@pytest.fixture
def pumps(db: None) -> Role:
    """Domain north with the role `pumps`, the device pump-1 and the group hall."""
    who: dict[str, Any] = {"actor": ADA, "now": utc_now()}
    Domain.objects.create(id=NORTH, slug="north", name="North")
    services.create_device_type(domain=NORTH, name="pump", schema={}, **who)
    services.register_device(domain=NORTH, name="pump-1", device_type="pump", **who)
    services.create_group(domain=NORTH, name="hall", **who)
    return create_role(domain=NORTH, name="pumps", rules=[rule("up")], **who)


def drafted(document: PolicyDocument, *, by: Actor = ADA, approved: bool = True) -> PolicyChange:
    change = policy_changes.draft_change(domain=NORTH, title="Race", document=document, actor=by, now=utc_now())
    return policy_changes.approve_change(change=change.id, actor=by, now=utc_now()) if approved else change


def more(name: str) -> PolicyDocument:
    """The policy with one more role, given to pump-1 and the hall."""
    policy = with_role(policy_document(domain=NORTH), RoleSpec(name=name, rules=(rule(name),)))
    for via, target in ((BindingVia.DEVICE, "pump-1"), (BindingVia.GROUP, "hall")):
        policy = with_binding(policy, BindingSpec(role=name, via=via, target=target))
    return policy


def act(do: Callable[..., Any], change: PolicyChange, *, by: Actor = ADA, **more: Any) -> Callable[[], Any]:
    return lambda: do(change=change.id, actor=by, now=utc_now(), **more)


def assert_journal_is_whole() -> None:
    assert {type(each).__name__ for each in verify_journal()} == {"Entry"}


@pytest.mark.usefixtures("pumps")
def test_change_is_applied_by_one_of_four() -> None:
    change = drafted(more("gates"))
    found = at_once([act(policy_changes.apply_change, change)] * 4)
    assert told(found) == {"ok": 1, "policy-change-state": 3}
    assert differences(policy_document(domain=NORTH), change.document).is_empty
    applied = [entry for entry in list_entries(limit=50) if entry.action == "devices.policy_change.applied"]
    assert len(applied) == 1
    assert_journal_is_whole()


@pytest.mark.usefixtures("pumps")
def test_one_of_two_changes_from_the_same_base_is_applied() -> None:
    first, second = drafted(more("gates")), drafted(more("mills"))
    found = at_once([act(policy_changes.apply_change, first), act(policy_changes.apply_change, second)])
    assert told(found) == {"ok": 1, "base-moved": 1}
    names = {role.name for role in policy_document(domain=NORTH).roles}
    assert names in ({"pumps", "gates"}, {"pumps", "mills"})


@pytest.mark.usefixtures("pumps")
def test_two_approvals_at_once_are_both_kept() -> None:
    rule = ApprovalRule.OTHER_OPERATOR
    change = drafted(more("gates"), by=MILL, approved=False)
    policy_changes.set_policy_approval(domain=NORTH, rule=rule, actor=ADA, now=utc_now())
    found = at_once([act(policy_changes.approve_change, change, by=who) for who in (ADA, BO, CY)])
    assert set(told(found)) == {"ok"}
    approved = get_change(change=change.id)
    assert (approved.state, len(approved.approvals)) == (ChangeState.APPROVED, 3)


@pytest.mark.usefixtures("pumps")
def test_one_of_three_writes_the_version_that_all_have_read() -> None:
    change = drafted(more("gates"), approved=False)
    documents = [more(name) for name in ("a", "b", "c")]
    calls = [
        act(policy_changes.rewrite_change, change, document=document, expected_version=change.version)
        for document in documents
    ]
    assert told(at_once(calls)) == {"ok": 1, "version-mismatch": 2}
    assert get_change(change=change.id).version == change.version + 1


@pytest.mark.usefixtures("pumps")
def test_approval_and_rewriting_at_once_never_leave_an_approval_of_what_was_not_read() -> None:
    for name in ("a", "b", "c"):
        change = drafted(more("gates"), approved=False)
        written = replace(change.document, roles=(*change.document.roles, RoleSpec(name=f"z-{name}")))
        at_once(
            [
                act(policy_changes.rewrite_change, change, document=written),
                act(policy_changes.approve_change, change, expected_version=change.version),
            ]
        )
        left = get_change(change=change.id)
        assert left.document == written
        assert (left.state, left.approvals) == (ChangeState.DRAFT, ())


def test_applying_beside_every_other_writer_waits_for_nobody_for_ever(pumps: Role) -> None:
    """Each writer holds its own row while it waits for the journal: in another order of locks two would deadlock."""
    [hall] = queries.list_groups(domains=[NORTH])
    device = queries.find_principal_by_name(domain=NORTH, name="pump-1")
    assert device is not None
    pump = DeviceId(device.id)
    for number in range(3):
        change = drafted(more(f"gates-{number}"))
        who: dict[str, Any] = {"actor": BO, "now": utc_now()}
        target = BindingTarget(group="hall")
        others: list[Callable[[], Any]] = [
            partial(change_role, role=pumps.id, rules=[rule(f"up-{number}")], **who),
            partial(create_role, domain=NORTH, name=f"mills-{number}", rules=[rule("m")], **who),
            partial(services.create_group, domain=NORTH, name=f"yard-{number}", **who),
            partial(services.add_to_group, group=hall.id, devices=[pump], **who),
            partial(services.bind_role, domain=NORTH, role=pumps.id, target=target, **who),
            partial(services.set_quarantine_role, domain=NORTH, role=pumps.id, **who),
        ]
        found = at_once([act(policy_changes.apply_change, change), *others])
        assert set(told(found)) <= {"ok", "base-moved", "already-bound"}, found
        there = roles.find_role(domain=NORTH, name=f"gates-{number}") is not None
        assert there == (get_change(change=change.id).state is ChangeState.APPLIED)
    assert_journal_is_whole()


def test_role_is_not_written_past_four_eyes_that_are_asked_for_meanwhile(pumps: Role) -> None:
    ask = ApprovalRule.OTHER_OPERATOR
    found = at_once(
        [
            lambda: policy_changes.set_policy_approval(domain=NORTH, rule=ask, actor=ADA, now=utc_now()),
            lambda: change_role(role=pumps.id, rules=[rule("wide/#")], actor=BO, now=utc_now()),
        ]
    )
    assert set(told(found)) <= {"ok", "approval-required"}
    actions = [entry.action for entry in list_entries(limit=5)]
    asked = actions.index("devices.domain.policy_approval_set")
    assert "acl.role.changed" not in actions[:asked], "newest first: nothing is written after it"
