"""Console roles give no more than they should."""

from __future__ import annotations

import pytest

from console.core.roles import EVERY_SCOPE, ROLE_SCOPES, SCOPES, ConsoleRole


def test_auditor_reads_everything_and_changes_nothing() -> None:
    assert ROLE_SCOPES[ConsoleRole.AUDITOR] == {scope for scope in SCOPES if scope.endswith(":read")}


def test_owner_may_do_everything() -> None:
    assert ROLE_SCOPES[ConsoleRole.OWNER] == EVERY_SCOPE


@pytest.mark.parametrize("role", [role for role in ConsoleRole if role is not ConsoleRole.OWNER])
def test_only_the_owner_lets_others_in(role: ConsoleRole) -> None:
    assert not ROLE_SCOPES[role] & {"operators:write", "applications:write"}


def test_onboarding_can_enrol_and_not_revoke_nor_touch_policy() -> None:
    held = ROLE_SCOPES[ConsoleRole.ONBOARDING]
    assert {"enrolment-tokens:write", "devices:write"} <= held
    assert not held & {"certificates:revoke", "roles:write", "bindings:write", "policy:apply", "issuers:sign"}


def test_operator_can_throw_a_device_out_and_not_change_what_roles_allow() -> None:
    held = ROLE_SCOPES[ConsoleRole.OPERATOR]
    assert {"devices:write", "certificates:revoke"} <= held
    assert not held & {"roles:write", "issuers:sign", "brokers:write"}


def test_only_who_sets_policy_lets_applications_onto_brokers() -> None:
    held = {role for role in ConsoleRole if "broker-applications:write" in ROLE_SCOPES[role]}
    assert held == {ConsoleRole.OWNER, ConsoleRole.SECURITY_OFFICER}


@pytest.mark.parametrize("role", list(ConsoleRole))
def test_roles_name_scopes_that_exist(role: ConsoleRole) -> None:
    assert ROLE_SCOPES[role] <= EVERY_SCOPE
