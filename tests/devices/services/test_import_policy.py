"""Taking a policy document in: dry runs, drafts, and changes that are applied at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devices.core.policy_changes import ApprovalRule, ChangeState
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.core.policy_yaml import digest
from devices.queries.policy import device_names_by, policy_document
from devices.queries.policy_changes import count_changes
from devices.services.import_policy import PolicyMoved, import_policy, plan_import
from devices.services.policy_changes import set_policy_approval
from devices.services.policy_changes.approving import ApprovalDenied
from devices.services.policy_changes.drafting import UnknownBindingTarget
from devices.services.policy_changes.rows import OtherDomain
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.cast import ADA, NORTH, SOUTH
from tests.devices.bare import Bare
from tests.devices.factory import DOWN, UP

pytestmark = pytest.mark.django_db

WANTED = PolicyDocument.of(
    domain="north",
    quarantine_role="quiet",
    roles=[RoleSpec(name="pumps", description="Pumps", rules=(UP, DOWN)), RoleSpec(name="quiet")],
    bindings=[
        BindingSpec(role="pumps", via=BindingVia.DEVICE, target="pump-1"),
        BindingSpec(role="pumps", via=BindingVia.DEVICE_TYPE, target="pump"),
        BindingSpec(role="pumps", via=BindingVia.GROUP, target="hall"),
        BindingSpec(role="quiet", via=BindingVia.DOMAIN, target="north"),
    ],
    groups=[GroupSpec(name="hall")],
)


@pytest.fixture
def north(db: None) -> Bare:
    return Bare(NORTH, "north", utc_now())


@pytest.fixture
def south(db: None) -> Bare:
    return Bare(SOUTH, "south", utc_now())


def test_dry_run_says_what_would_change_and_changes_nothing(north: Bare) -> None:
    north.register("pump-1")
    before, last = policy_document(domain=north.domain), list_entries(limit=1)[0].seq
    planned = plan_import(domain=north.domain, document=WANTED)
    assert [role.name for role in planned.difference.roles_added] == ["pumps", "quiet"]
    assert (planned.change, planned.applied) == (None, None)
    assert policy_document(domain=north.domain) == before
    assert list_entries(limit=1)[0].seq == last
    assert count_changes(domains=[north.domain]) == 0


def test_import_is_a_draft_that_changes_nothing_yet(north: Bare) -> None:
    north.register("pump-1")
    before = policy_document(domain=north.domain)
    made = import_policy(domain=north.domain, document=WANTED, title="From Git", actor=ADA, now=north.now)
    assert made.change is not None
    assert (made.change.state, made.change.document, made.applied) == (ChangeState.DRAFT, WANTED, None)
    assert policy_document(domain=north.domain) == before


def test_import_that_is_applied_is_the_policy_in_force_and_repeating_it_does_nothing(north: Bare) -> None:
    north.register("pump-1")
    north.role("old")
    for expected in (ChangeState.APPLIED, None):
        made = import_policy(
            domain=north.domain, document=WANTED, title="From Git", apply=True, actor=ADA, now=north.now
        )
        assert (made.change.state if made.change else None) is expected
        assert policy_document(domain=north.domain) == WANTED
    assert count_changes(domains=[north.domain]) == 1


def test_four_eyes_refuse_to_apply_at_once_and_no_draft_is_left(north: Bare) -> None:
    north.register("pump-1")
    set_policy_approval(domain=north.domain, rule=ApprovalRule.OTHER_OPERATOR, actor=ADA, now=north.now)
    with pytest.raises(ApprovalDenied):
        import_policy(domain=north.domain, document=WANTED, title="x", apply=True, actor=ADA, now=north.now)
    assert count_changes(domains=[north.domain]) == 0
    made = import_policy(domain=north.domain, document=WANTED, title="x", actor=ADA, now=north.now)
    assert made.change is not None


def test_document_of_another_domain_is_refused(north: Bare, south: Bare) -> None:
    with pytest.raises(OtherDomain):
        plan_import(domain=south.domain, document=PolicyDocument.of(domain="north"))


def test_target_that_is_not_there_is_refused_with_its_place(north: Bare) -> None:
    north.register("pump-2")
    with pytest.raises(UnknownBindingTarget) as caught:
        plan_import(domain=north.domain, document=WANTED)
    [fault] = caught.value.errors
    assert fault.pointer == "/bindings/0"
    assert "pump-1" in fault.detail


def test_import_of_what_was_exported_before_somebody_changed_it_is_refused(north: Bare) -> None:
    exported = policy_document(domain=north.domain)
    wanted = replace(exported, roles=(RoleSpec(name="new"),))
    north.role("of-somebody-else")
    with pytest.raises(PolicyMoved):
        plan_import(domain=north.domain, document=wanted, expected_digest=digest(exported))
    present = digest(policy_document(domain=north.domain))
    assert not plan_import(domain=north.domain, document=wanted, expected_digest=present).difference.is_empty


def test_devices_are_found_by_auth_id_and_by_client_id_in_their_own_domain(north: Bare, south: Bare) -> None:
    north.register("pump-1")
    south.register("pump-2")
    asked = {"pump-1", "pump-2", "a\x00b", "\ud800", "x" * 70}
    found = device_names_by(domain=north.domain, auth_ids=asked, client_ids=asked)
    assert found == ({"pump-1": "pump-1"}, {"pump-1": "pump-1"})
