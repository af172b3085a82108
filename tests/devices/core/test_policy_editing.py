"""Small edits of a policy document."""

from __future__ import annotations

import pytest

from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.policy_editing import (
    NoSuchRole,
    RoleThere,
    with_binding,
    with_quarantine_role,
    with_role,
    without_binding,
    without_role,
)

HALL = BindingSpec(role="pumps", via=BindingVia.GROUP, target="hall")
YARD = BindingSpec(role="mills", via=BindingVia.GROUP, target="yard")
POLICY = PolicyDocument.of(
    domain="north", quarantine_role="pumps", roles=[RoleSpec(name="pumps"), RoleSpec(name="mills")], bindings=[HALL]
)


def test_renamed_role_keeps_its_bindings_and_its_quarantine() -> None:
    found = with_role(POLICY, RoleSpec(name="engines", description="of all kinds"), was="pumps")
    assert [role.name for role in found.roles] == ["engines", "mills"]
    assert found.bindings == (BindingSpec(role="engines", via=BindingVia.GROUP, target="hall"),)
    assert found.quarantine_role == "engines"


def test_role_takes_no_name_that_is_taken() -> None:
    with pytest.raises(RoleThere):
        with_role(POLICY, RoleSpec(name="mills"), was="pumps")
    with pytest.raises(RoleThere):
        with_role(POLICY, RoleSpec(name="mills"))


def test_role_goes_with_all_that_names_it() -> None:
    found = without_role(POLICY, "pumps")
    assert (found.roles, found.bindings, found.quarantine_role) == ((RoleSpec(name="mills"),), (), None)


def test_binding_is_there_once_and_goes_again() -> None:
    found = with_binding(with_binding(POLICY, YARD), YARD)
    assert found.bindings == (YARD, HALL)
    assert without_binding(found, YARD) == POLICY
    assert without_binding(POLICY, YARD) == POLICY


def test_what_names_a_role_that_is_not_there_is_refused() -> None:
    ghost = BindingSpec(role="ghost", via=BindingVia.DOMAIN, target="north")
    with pytest.raises(NoSuchRole):
        with_binding(POLICY, ghost)
    with pytest.raises(NoSuchRole):
        without_role(POLICY, "ghost")
    with pytest.raises(NoSuchRole):
        with_quarantine_role(POLICY, "ghost")


def test_quarantine_role_is_chosen_and_taken_away() -> None:
    assert with_quarantine_role(POLICY, "mills").quarantine_role == "mills"
    assert with_quarantine_role(POLICY, None).quarantine_role is None
