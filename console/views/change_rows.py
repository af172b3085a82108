"""A change of policy in rows for people: what differs role by role, and where it clashes with what others did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.views.roles import RuleRow, rule_rows
from devices.core.policy_document import BindingSpec, PolicyDifference, RoleSpec
from devices.core.policy_merge import Merge
from devices.core.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDifference:
    """A role that the change makes, changes or takes away: its rules that come, and those that go."""

    name: str
    what: str
    description: str
    added: Sequence[RuleRow]
    removed: Sequence[RuleRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRow:
    """A binding that comes, is changed or goes; `before` is the window that it had."""

    what: str
    role: str
    via: str
    target: str
    window: Window
    before: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictSide:
    """A role as one side has it; `there` is False where that side has it not."""

    side: str
    label: str
    there: bool
    description: str
    rules: Sequence[RuleRow]
    bindings: Sequence[BindingSpec]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictRow:
    """What has to be decided: `field` names the choice in the form."""

    field: str
    title: str
    sides: Sequence[ConflictSide]


def role_differences(difference: PolicyDifference) -> list[RoleDifference]:
    """Roles that come, change and go, in this order."""
    rows = [_whole(role, "added") for role in difference.roles_added]
    for changed in difference.roles_changed:
        described = changed.before.description != changed.after.description
        rows.append(
            RoleDifference(
                name=changed.name,
                what="changed",
                description=changed.after.description if described else "",
                added=rule_rows(changed.added),
                removed=rule_rows(changed.removed),
            )
        )
    return rows + [_whole(role, "removed") for role in difference.roles_removed]


def _whole(role: RoleSpec, what: str) -> RoleDifference:
    rules = rule_rows(role.rules)
    comes = what == "added"
    return RoleDifference(
        name=role.name,
        what=what,
        description=role.description if comes else "",
        added=rules if comes else (),
        removed=() if comes else rules,
    )


def binding_rows(difference: PolicyDifference) -> list[BindingRow]:
    """Bindings that come, those whose windows change, then those that go."""
    changed = [_binding("changed", each.after, before=each.before.window) for each in difference.bindings_changed]
    return [
        *(_binding("added", each) for each in difference.bindings_added),
        *changed,
        *(_binding("removed", each) for each in difference.bindings_removed),
    ]


def _binding(what: str, each: BindingSpec, before: Window | None = None) -> BindingRow:
    return BindingRow(
        what=what, role=each.role, via=each.via.value, target=each.target, window=each.window, before=before
    )


def conflict_rows(merged: Merge | None) -> list[ConflictRow]:
    """Each conflict with both sides; none if there is nothing to decide."""
    if merged is None:
        return []
    rows = [
        ConflictRow(
            field=f"role:{conflict.name}",
            title=f"The role {conflict.name}",
            sides=(
                _side("present", conflict.present, conflict.present_uses),
                _side("draft", conflict.draft, conflict.draft_uses),
            ),
        )
        for conflict in merged.roles
    ]
    if clash := merged.quarantine_role:
        sides = [
            ConflictSide(
                side=side, label=_LABELS[side], there=name is not None, description=name or "", rules=(), bindings=()
            )
            for side, name in (("present", clash.present), ("draft", clash.draft))
        ]
        rows.append(ConflictRow(field="quarantine", title="The quarantine role", sides=sides))
    for each in merged.groups:
        sides = [
            ConflictSide(
                side=side, label=_LABELS[side], there=True, description=query or "chosen members", rules=(), bindings=()
            )
            for side, query in (("present", each.present), ("draft", each.draft))
        ]
        rows.append(ConflictRow(field=f"group:{each.name}", title=f"Who is in the group {each.name}", sides=sides))
    return rows


_LABELS = {"present": "in force now", "draft": "in this draft"}


def _side(side: str, role: RoleSpec | None, uses: Sequence[BindingSpec]) -> ConflictSide:
    return ConflictSide(
        side=side,
        label=_LABELS[side],
        there=role is not None,
        description=role.description if role else "",
        rules=rule_rows(role.rules) if role else (),
        bindings=uses,
    )
