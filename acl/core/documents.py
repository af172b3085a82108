"""Rules as JSON: the same words in the API and in the journal."""

from __future__ import annotations

from typing import Any

from acl.core.values import Rule


def rule_document(rule: Rule) -> dict[str, Any]:
    """The rule as JSON, every member spelled out, lists sorted."""
    return {
        "id": str(rule.id),
        "effect": rule.effect.value,
        "actions": sorted(action.value for action in rule.actions),
        "topic": rule.topic,
        "qos": sorted(rule.qos),
        "retain": rule.retain.value,
        "shared": rule.shared.value,
        "shared_group": rule.shared_group,
    }
