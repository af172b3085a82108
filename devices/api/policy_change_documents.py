"""Changes of policy as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rest_framework import serializers

from devices.core.policy_changes import ApprovalRule, ChangeState, Person, PolicyChange, approvals_missing
from devices.core.policy_document import BindingSpec, RoleSpec, differences
from devices.core.policy_json import binding_json, policy_json, role_json
from devices.core.policy_merge import Merge, RoleConflict, Side
from devices.core.policy_plan import difference_json
from devices.queries.policy_changes import ChangeRow, Standing
from kernel.api.documents import StrictDocument
from kernel.core.clock import to_rfc3339


class NewChangeDocument(StrictDocument):
    """A draft to be made. Without a document it is the policy in force, to be written on."""

    domain = serializers.CharField(required=False)
    title = serializers.CharField(max_length=200)
    document = serializers.JSONField(required=False, help_text="A policy document: all roles and bindings there are.")


class WrittenChangeDocument(StrictDocument):
    """What a change is called and the policy that it wants; what is left out stays."""

    title = serializers.CharField(max_length=200, required=False)
    document = serializers.JSONField(required=False, help_text="A policy document: all roles and bindings there are.")


class EndDocument(StrictDocument):
    """Why it is not to be done."""

    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class DecisionsDocument(StrictDocument):
    """Which side holds where the draft and the policy in force differ: `present` or `draft`, by names."""

    roles = serializers.DictField(child=serializers.ChoiceField(choices=[*Side]), default=dict)
    quarantine_role = serializers.ChoiceField(choices=[*Side], required=False)
    groups = serializers.DictField(child=serializers.ChoiceField(choices=[*Side]), default=dict)


class PersonDocument(serializers.Serializer[Any]):
    """Who wrote, approved or ended a change."""

    kind = serializers.CharField()
    label = serializers.CharField(label="Name")  # type: ignore[assignment]  # a field of the document, not DRF's label


class ChangeSummaryDocument(serializers.Serializer[Any]):
    """A change in a list."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    number = serializers.IntegerField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=[*ChangeState])
    version = serializers.IntegerField()
    authors = PersonDocument(many=True)
    rolls_back = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ChangeListDocument(serializers.Serializer[Any]):
    """A page of changes, newest first."""

    results = ChangeSummaryDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class ChangeDocument(ChangeSummaryDocument):
    """A change with its documents. `base` is the policy it was made from; once it is applied, the one before it."""

    base = serializers.JSONField()
    document = serializers.JSONField()
    difference = serializers.JSONField()
    approvals = serializers.JSONField()
    approvals_missing = serializers.IntegerField()
    base_moved = serializers.BooleanField()
    conflicts = serializers.JSONField()
    ended_by = PersonDocument(allow_null=True)
    note = serializers.CharField(allow_blank=True)


class AppliedChangeDocument(serializers.Serializer[Any]):
    """The operation in which the brokers follow, to be watched at /api/v1/operations/<id>/."""

    operation = serializers.UUIDField()


class ApprovalRuleDocument(StrictDocument):
    """Who approves changes of a domain's policy."""

    policy_approval = serializers.ChoiceField(choices=[*ApprovalRule])


def change_row_document(row: ChangeRow | PolicyChange, *, domain_slug: str) -> dict[str, Any]:
    """The change as JSON, without its documents."""
    return {
        "id": str(row.id),
        "domain": domain_slug,
        "number": row.number,
        "title": row.title,
        "state": row.state.value,
        "version": row.version,
        "authors": [_person(author) for author in row.authors],
        "rolls_back": str(row.rolls_back) if row.rolls_back else None,
        "created_at": to_rfc3339(row.created_at),
        "changed_at": to_rfc3339(row.changed_at),
        "ended_at": _time(row.ended_at),
    }


def change_document(change: PolicyChange, standing: Standing, rule: ApprovalRule) -> dict[str, Any]:
    """The change as JSON. `standing` is how it stands to the policy in force, `rule` whose eyes it needs."""
    return {
        **change_row_document(change, domain_slug=change.domain_slug),
        "base": policy_json(change.base),
        "document": policy_json(change.document),
        "difference": difference_json(differences(change.base, change.document)),
        "approvals": [{**_person(each.by), "at": to_rfc3339(each.at)} for each in change.approvals],
        "approvals_missing": approvals_missing(rule, authors=change.authors, approvals=change.approvals),
        "base_moved": standing.base_moved,
        "conflicts": conflict_documents(standing.merged) if standing.merged else [],
        "ended_by": _person(change.ended_by) if change.ended_by else None,
        "note": change.note,
    }


def conflict_documents(merged: Merge) -> list[dict[str, Any]]:
    """What the draft and the policy in force disagree about."""
    found: list[dict[str, Any]] = [_conflict(conflict) for conflict in merged.roles]
    if clash := merged.quarantine_role:
        found.append({"kind": "quarantine_role", "base": clash.base, "present": clash.present, "draft": clash.draft})
    found += [
        {"kind": "group", "name": each.name, "base": each.base, "present": each.present, "draft": each.draft}
        for each in merged.groups
    ]
    return found


def _conflict(conflict: RoleConflict) -> dict[str, Any]:
    return {
        "kind": "role",
        "name": conflict.name,
        "base": _role(conflict.base),
        "present": _role(conflict.present),
        "draft": _role(conflict.draft),
        "present_bindings": _bindings(conflict.present_uses),
        "draft_bindings": _bindings(conflict.draft_uses),
    }


def _role(role: RoleSpec | None) -> dict[str, Any] | None:
    return role_json(role) if role else None


def _bindings(bindings: Iterable[BindingSpec]) -> list[dict[str, Any]]:
    return list(map(binding_json, bindings))


def _person(person: Person) -> dict[str, str]:
    return {"kind": person.kind.value, "label": person.label}


def _time(at: datetime | None) -> str | None:
    return to_rfc3339(at) if at else None
