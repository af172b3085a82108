"""Policy documents as changes keep them: JSON with every member spelled out, read back without looking for faults.

The JSON that people write, and its faults, are for policy_json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Retain, Shared
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.core.windows import window_of


def to_kept(document: PolicyDocument) -> dict[str, Any]:
    """The document as JSON; `from_kept` gives it back."""
    return {
        "domain": document.domain,
        "quarantine_role": document.quarantine_role,
        "roles": [_kept_role(role) for role in document.roles],
        "bindings": [
            {"role": each.role, "via": each.via.value, "target": each.target, **each.window.as_texts()}
            for each in document.bindings
        ],
        "groups": [{"name": group.name, "query": group.query} for group in document.groups],
    }


def _kept_role(role: RoleSpec) -> dict[str, Any]:
    """The role as JSON."""
    return {
        "name": role.name,
        "description": role.description,
        "rules": [_kept_rule(rule) for rule in role.rules],
    }


def _kept_rule(rule: RuleSpec) -> dict[str, Any]:
    """The rule as JSON, lists sorted."""
    return {
        "effect": rule.effect.value,
        "actions": sorted(action.value for action in rule.actions),
        "topic": rule.topic,
        "qos": sorted(rule.qos),
        "retain": rule.retain.value,
        "shared": rule.shared.value,
        "shared_group": rule.shared_group,
    }


def from_kept(kept: Mapping[str, Any]) -> PolicyDocument:
    """The document that `to_kept` spelled."""
    return PolicyDocument.of(
        domain=kept["domain"],
        quarantine_role=kept["quarantine_role"],
        roles=[
            RoleSpec(name=role["name"], description=role["description"], rules=tuple(map(_rule, role["rules"])))
            for role in kept["roles"]
        ],
        bindings=[
            BindingSpec(
                role=each["role"],
                via=BindingVia(each["via"]),
                target=each["target"],
                window=window_of(each),
            )
            for each in kept["bindings"]
        ],
        groups=[GroupSpec(name=group["name"], query=group["query"]) for group in kept["groups"]],
    )


def _rule(kept: Mapping[str, Any]) -> RuleSpec:
    return RuleSpec(
        effect=Effect(kept["effect"]),
        actions=frozenset(map(Action, kept["actions"])),
        topic=kept["topic"],
        qos=frozenset(kept["qos"]),
        retain=Retain(kept["retain"]),
        shared=Shared(kept["shared"]),
        shared_group=kept["shared_group"],
    )
