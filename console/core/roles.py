"""What operators may do: console roles as sets of scopes. The API and the console speak of the same scopes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ConsoleRole(StrEnum):
    """What an operator can be in a domain."""

    OWNER = "owner"
    SECURITY_OFFICER = "security-officer"
    OPERATOR = "operator"
    ONBOARDING = "onboarding"
    AUDITOR = "auditor"


_WRITTEN_AND_READ: Mapping[str, str] = {
    "domains": "domains",
    "device-types": "device types and their attributes",
    "groups": "groups and their members",
    "devices": "devices: register, change, suspend, resume, quarantine, revoke, decommission",
    "broker-applications": "applications that connect to brokers: register, give certificates, resume",
    "credentials": "credentials of devices",
    "enrolment-profiles": "enrolment profiles",
    "enrolment-tokens": "enrolment tokens",
    "enrolment-requests": "enrolment requests that wait for a decision",
    "issuers": "issuers, their CRLs and OCSP signers",
    "profiles": "profiles of certificates",
    "certificates": "certificates",
    "roles": "roles and their rules",
    "bindings": "bindings of roles",
    "brokers": "brokers, their plans, renderings and sessions",
    "operators": "operators",
    "applications": "applications",
}
_READ_ONLY: Mapping[str, str] = {
    "policy": "what policy allows, and what a change would do",
    "operations": "operations and their steps",
    "journal": "the journal",
    "findings": "findings: what needs attention",
    "access-log": "who connected, and who was refused",
}
_WHAT_HURTS: Mapping[str, str] = {
    "certificates:revoke": "Revoke, hold and release certificates",
    "issuers:sign": "Make issuers, let them sign, roll them over",
    "policy:write": "Write drafts of policy, rebase and withdraw them",
    "policy:approve": "Approve and reject changes of policy",
    "policy:apply": "Put approved changes of policy in force, and bring brokers to the desired state",
}

SCOPES: Mapping[str, str] = {
    **{f"{name}:read": f"See {what}" for name, what in {**_WRITTEN_AND_READ, **_READ_ONLY}.items()},
    **{f"{name}:write": f"Change {what}" for name, what in _WRITTEN_AND_READ.items()},
    **_WHAT_HURTS,
}
"""Every scope, and what it allows."""

EVERY_SCOPE = frozenset(SCOPES)
_READ = frozenset(scope for scope in SCOPES if scope.endswith(":read"))
_ADMINISTRATION = frozenset({"operators:write", "applications:write", "domains:write"})
_ENROLMENT = frozenset({"enrolment-profiles:write", "enrolment-tokens:write", "enrolment-requests:write"})
_FLEET = frozenset({"devices:write", "groups:write", "credentials:write"})

ROLE_SCOPES: Mapping[ConsoleRole, frozenset[str]] = {
    ConsoleRole.OWNER: EVERY_SCOPE,
    ConsoleRole.SECURITY_OFFICER: EVERY_SCOPE - _ADMINISTRATION,
    ConsoleRole.OPERATOR: _READ | _FLEET | {"certificates:revoke", "policy:apply"},
    ConsoleRole.ONBOARDING: (_READ - {"journal:read", "operators:read", "applications:read"}) | _FLEET | _ENROLMENT,
    ConsoleRole.AUDITOR: _READ,
}
