"""Writing roles. Each change is one entry of the journal, from which brokers learn of it.

`change` is the approved change of the domain's policy that a write is a part of; where the domain wants its policy
approved, a write without one is refused (Denied). `own`: the caller sees to it that a role which holds the rules of one
principal alone is given to nobody else; without it such a role is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, RestrictedError

from acl import models, queries
from acl.conf import policy_gate
from acl.core.documents import rule_document
from acl.core.own_rules import holder_of
from acl.core.rules import RuleSpec, check_role
from acl.core.values import Role, RoleId, RuleId
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError, Superseded
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record


class RoleNameTaken(Conflict):
    """Another role of the domain has that name."""

    code = "role-name-taken"


class RoleChanged(Superseded):
    """Somebody changed the role since it was read."""

    code = "version-mismatch"


class OwnRules(Conflict):
    """A role that holds the rules of one principal alone is not written like one for many."""

    code = "own-rules"


class RoleInUse(Conflict):
    """The role is bound, or is the quarantine role of its domain."""

    code = "role-in-use"


def create_role(
    *,
    domain: DomainId,
    name: str,
    rules: Sequence[RuleSpec],
    description: str = "",
    own: bool = False,
    change: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> Role:
    """The new role. Raises InvalidRole, RoleNameTaken, OwnRules, Denied."""
    check_role(name=name, rules=rules)
    _check_own(name, own=own)
    with transaction.atomic():
        policy_gate().enter(domain, change=change)
        row = models.Role(domain_id=domain, name=name, description=description, created_at=now, changed_at=now)
        _save(row)
        _write_rules(row, rules)
        role = queries.get_role(id=RoleId(row.id))
        _record("acl.role.created", role, before={}, after=_told(role, change), actor=actor, now=now)
    return role


def change_role(
    *,
    role: RoleId,
    rules: Sequence[RuleSpec],
    name: str | None = None,
    description: str | None = None,
    expected_version: int | None = None,
    own: bool = False,
    change: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> Role:
    """The role with these rules in place of its own; rules that say the same as before keep their ids.

    What is None stays. A change that changes nothing is not recorded. Raises RoleNotFound, InvalidRole, RoleNameTaken,
    OwnRules, Denied, and RoleChanged if the role is not at `expected_version` any more.
    """
    with transaction.atomic():
        row = _locked(role, expected_version, change)
        before = row.as_value()
        row.name = before.name if name is None else name
        for each in {before.name, row.name}:
            _check_own(each, own=own)
        row.description = before.description if description is None else description
        check_role(name=row.name, rules=rules)
        unchanged = (row.name, row.description, list(rules)) == (before.name, before.description, _specs(before))
        if unchanged:
            return before
        row.version, row.changed_at = before.version + 1, now
        _save(row)
        _write_rules(row, rules, before=before)
        after = queries.get_role(id=role)
        _record("acl.role.changed", after, before=_told(before), after=_told(after, change), actor=actor, now=now)
    return after


def delete_role(
    *,
    role: RoleId,
    expected_version: int | None = None,
    own: bool = False,
    change: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Nothing; the role is gone.

    Raises RoleNotFound, RoleChanged, OwnRules, Denied, and RoleInUse while something needs it.
    """
    with transaction.atomic():
        row = _locked(role, expected_version, change)
        before = row.as_value()
        _check_own(before.name, own=own)
        try:
            row.delete()
        except (ProtectedError, RestrictedError) as error:
            raise RoleInUse(
                f"The role {before.name} is still bound or is a quarantine role: remove its bindings first."
            ) from error
        _record("acl.role.deleted", before, before=_told(before), after=_of(change), actor=actor, now=now)


def _check_own(name: str, *, own: bool) -> None:
    holder = holder_of(name)
    if holder is not None and not own:
        raise OwnRules(f"{name} stands for the rules that {holder} alone has: change them there, not as a role.")


def _locked(role: RoleId, expected_version: int | None, change: UUID | None) -> models.Role:
    policy_gate().enter(_domain_of(role), change=change)
    row = models.Role.objects.select_for_update().filter(id=role).first()
    if row is None:
        raise queries.missing_role(role)
    if expected_version is not None and row.version != expected_version:
        raise RoleChanged(
            f"The role {row.name} was changed meanwhile (it is at version {row.version}): read it again, then repeat."
        )
    return row


def _domain_of(role: RoleId) -> DomainId:
    found = models.Role.objects.filter(id=role).values_list("domain_id", flat=True).first()
    if found is None:
        raise queries.missing_role(role)
    return DomainId(found)


def _save(row: models.Role) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        fault = FieldError(pointer="/name", code="taken", detail="Another role of the domain has this name.")
        raise RoleNameTaken(
            f"The domain has a role {row.name} already: change that one, or choose another name.", errors=(fault,)
        ) from error


def _write_rules(row: models.Role, rules: Sequence[RuleSpec], *, before: Role | None = None) -> None:
    kept: dict[RuleSpec, list[RuleId]] = defaultdict(list)
    for rule in before.rules if before else ():
        kept[RuleSpec.of(rule)].append(rule.id)
    row.rules.all().delete()
    models.Rule.objects.bulk_create(
        models.Rule.of(
            spec,
            id=kept[spec].pop(0) if kept[spec] else RuleId(new_id()),
            role=RoleId(row.id),
            position=position,
        )
        for position, spec in enumerate(rules)
    )


def _specs(role: Role) -> list[RuleSpec]:
    return [RuleSpec.of(rule) for rule in role.rules]


def _record(
    action: str, role: Role, *, before: Mapping[str, Any], after: Mapping[str, Any], actor: Actor, now: datetime
) -> None:
    subject = Subject(kind="acl.role", id=str(role.id), label=role.name)
    record(action=action, subject=subject, actor=actor, now=now, domain=role.domain, before=before, after=after)


def _of(change: UUID | None) -> Mapping[str, Any]:
    return {"change": str(change)} if change else {}


def _told(role: Role, change: UUID | None = None) -> Mapping[str, Any]:
    """What the journal keeps of a role: all of it, since a role is small and holds no secret."""
    return {
        "name": role.name,
        "description": role.description,
        "version": role.version,
        "rules": [rule_document(rule) for rule in role.rules],
        **_of(change),
    }
