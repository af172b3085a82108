"""What a difference between two policy documents comes to, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from acl.core.rules import RuleSpec
from devices.core.policy_document import BindingSpec, PolicyDifference, RoleChange, RoleSpec
from devices.core.policy_json import binding_json, group_json, role_json, rule_json
from devices.core.policy_yaml import in_line
from devices.core.windows import ALWAYS


def plan_lines(difference: PolicyDifference) -> Iterator[str]:
    """The difference, a line for each thing that is added (+), changed (~) or removed (-); nothing if it is empty."""
    if difference.quarantine_role:
        before, after = difference.quarantine_role
        yield f"~ quarantine role: {in_line(before)} -> {in_line(after)}"
    yield from _groups(difference)
    for role in difference.roles_added:
        yield f"+ role {role.name}"
        yield from _described("+", role)
        yield from _rules("+", role.rules)
    for change in difference.roles_changed:
        yield from _changed(change)
    for role in difference.roles_removed:
        yield f"- role {role.name}"
        yield from _rules("-", role.rules)
    for binding in difference.bindings_added:
        yield f"+ binding {in_line(binding_json(binding))}"
    for moved in difference.bindings_changed:
        yield f"~ binding {in_line(binding_json(moved.before))} -> {_window(moved.after)}"
    for binding in difference.bindings_removed:
        yield f"- binding {in_line(binding_json(binding))}"


def summary(difference: PolicyDifference) -> str:
    """One sentence on how much differs."""
    if difference.is_empty:
        return "Nothing differs."
    roles = (len(difference.roles_added), len(difference.roles_changed), len(difference.roles_removed))
    bindings = (len(difference.bindings_added), len(difference.bindings_changed), len(difference.bindings_removed))
    groups = (len(difference.groups_added), len(difference.groups_changed))
    quarantine = "changes" if difference.quarantine_role else "stays"
    return (
        f"Roles: {roles[0]} added, {roles[1]} changed, {roles[2]} removed. "
        f"Bindings: {bindings[0]} added, {bindings[1]} changed, {bindings[2]} removed. "
        f"Groups: {groups[0]} added, {groups[1]} changed. The quarantine role {quarantine}."
    )


def difference_json(difference: PolicyDifference) -> dict[str, Any]:
    """The difference as JSON."""
    quarantine = difference.quarantine_role
    return {
        "is_empty": difference.is_empty,
        "quarantine_role": {"before": quarantine[0], "after": quarantine[1]} if quarantine else None,
        "groups": {
            "added": [group_json(group) for group in difference.groups_added],
            "changed": [
                {"name": each.name, "query": {"before": each.before.query, "after": each.after.query}}
                for each in difference.groups_changed
            ],
        },
        "roles": {
            "added": [role_json(role) for role in difference.roles_added],
            "changed": [_changed_json(change) for change in difference.roles_changed],
            "removed": [role_json(role) for role in difference.roles_removed],
        },
        "bindings": {
            "added": [binding_json(binding) for binding in difference.bindings_added],
            "changed": [
                {"before": binding_json(change.before), "after": binding_json(change.after)}
                for change in difference.bindings_changed
            ],
            "removed": [binding_json(binding) for binding in difference.bindings_removed],
        },
    }


def _groups(difference: PolicyDifference) -> Iterator[str]:
    for group in difference.groups_added:
        yield f"+ group {in_line(group.name)}"
        if group.query:
            yield f"  + query: {in_line(group.query)}"
    for change in difference.groups_changed:
        yield f"~ group {in_line(change.name)}"
        yield f"  - query: {in_line(change.before.query)}"
        yield f"  + query: {in_line(change.after.query)}"


def _changed(change: RoleChange) -> Iterator[str]:
    yield f"~ role {change.name}"
    if change.before.description != change.after.description:
        yield from chain(_described("-", change.before), _described("+", change.after))
    yield from _rules("-", change.removed)
    yield from _rules("+", change.added)
    if _is_reordered(change):
        yield "  ~ the order of its rules, which has no effect"


def _is_reordered(change: RoleChange) -> bool:
    kept = set(change.before.rules) & set(change.after.rules)
    before, after = ([rule for rule in role.rules if rule in kept] for role in (change.before, change.after))
    return before != after


def _described(sign: str, role: RoleSpec) -> Iterator[str]:
    if role.description:
        yield f"  {sign} description: {in_line(role.description)}"


def _rules(sign: str, rules: Iterable[RuleSpec]) -> Iterator[str]:
    return (f"  {sign} {in_line(rule_json(rule))}" for rule in rules)


def _changed_json(change: RoleChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "description": {"before": change.before.description, "after": change.after.description},
        "rules": {
            "added": [rule_json(rule) for rule in change.added],
            "removed": [rule_json(rule) for rule in change.removed],
            "reordered": _is_reordered(change),
        },
    }


def _window(binding: BindingSpec) -> str:
    return in_line(binding.window.as_texts()) if binding.window != ALWAYS else "always"
