"""Making a draft anew from the policy in force."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.policy_changes import OPEN, PolicyChange, PolicyChangeId
from devices.core.policy_kept import from_kept, to_kept
from devices.core.policy_merge import Decisions, Merge, merge, same_policy
from devices.queries.policy import policy_document
from devices.services.policy_changes.drafting import check_targets
from devices.services.policy_changes.rows import locked_change, record_change, save_change, write_document
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError
from kernel.core.ids import DomainId


class RebaseConflict(Conflict):
    """The draft and the policy in force changed the same in different ways, and nobody has said which holds."""

    code = "rebase-conflict"


def rebase_change(
    *,
    change: PolicyChangeId,
    decisions: Decisions | None = None,
    expected_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> PolicyChange:
    """The change as one made from the policy in force: what others did since stays, and so does what it does.

    Where both touched the same, `decisions` says which holds; raises RebaseConflict, naming each of them, where they
    do not. A change whose base did not move stays as it is. Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState,
    UnknownBindingTarget.
    """
    with transaction.atomic():
        row, _ = locked_change(change, expected_version=expected_version, among=OPEN)
        base, present = from_kept(row.base), policy_document(domain=DomainId(row.domain_id))
        if same_policy(base, present):
            return row.as_value()
        draft = from_kept(row.document)
        merged = merge(base=base, present=present, draft=draft, decisions=decisions)
        if not merged.is_clean:
            raise rebase_conflict(merged)
        row.base = to_kept(present)
        write_document(row, merged.document, actor=actor)
        check_targets(DomainId(row.domain_id), before=present, after=merged.document)
        save_change(row, now=now)
        told = _told(merge(base=base, present=present, draft=draft), decisions or Decisions())
        record_change("devices.policy_change.rebased", row, actor=actor, now=now, more={"decided": told})
    return row.as_value()


def rebase_conflict(merged: Merge) -> RebaseConflict:
    """The error that names each conflict which is left."""
    faults = [
        FieldError(
            pointer=f"/roles/{conflict.name}",
            code=RebaseConflict.code,
            detail=f"The role {conflict.name} was changed in the draft and, otherwise, in the policy since.",
        )
        for conflict in merged.roles
    ]
    if merged.quarantine_role is not None:
        detail = "The quarantine role was changed in the draft and, otherwise, in the policy since."
        faults.append(FieldError(pointer="/quarantine_role", code=RebaseConflict.code, detail=detail))
    faults += [
        FieldError(
            pointer=f"/groups/{clash.name}",
            code=RebaseConflict.code,
            detail=f"The group {clash.name} was given a query in the draft and another in the policy since.",
        )
        for clash in merged.groups
    ]
    return RebaseConflict(
        f"{len(faults)} conflict(s) with what was changed since the draft was made: say for each which side holds, "
        "present or draft.",
        errors=tuple(faults),
    )


def _told(conflicts: Merge, decisions: Decisions) -> dict[str, str]:
    """What was decided of these conflicts; what else the caller named is nothing that happened."""
    told = {each.name: decisions.roles[each.name].value for each in conflicts.roles if each.name in decisions.roles}
    if conflicts.quarantine_role is not None and decisions.quarantine_role is not None:
        told["(quarantine role)"] = decisions.quarantine_role.value
    told |= {
        f"(group) {each.name}": decisions.groups[each.name].value
        for each in conflicts.groups
        if each.name in decisions.groups
    }
    return told
