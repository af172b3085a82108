"""Deciding about a change: good as it stands, not to be done, or not wanted any more."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.policy_changes import (
    OPEN,
    Approval,
    ChangeState,
    Person,
    PolicyChange,
    PolicyChangeId,
    approvals_missing,
    may_approve,
)
from devices.core.policy_document import differences
from devices.queries.policy_changes import standing_of
from devices.services.policy_changes.rows import end_change, kept_person, locked_change, record_change, save_change
from kernel.core.actor import Actor
from kernel.core.clock import to_rfc3339
from kernel.core.errors import Conflict, Denied


class ApprovalDenied(Denied):
    """This approval would not count."""

    code = "four-eyes"


class BaseMoved(Conflict):
    """The policy was changed since the draft was made from it."""

    code = "base-moved"


class NothingToChange(Conflict):
    """The draft is the policy in force."""

    code = "nothing-to-change"


def approve_change(
    *, change: PolicyChangeId, expected_version: int | None = None, actor: Actor, now: datetime
) -> PolicyChange:
    """The change with the actor's approval, approved as soon as it has all that it needs; once is enough for each.

    Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState, ApprovalDenied, BaseMoved, NothingToChange.
    """
    with transaction.atomic():
        row, rule = locked_change(change, expected_version=expected_version, among=OPEN)
        value, person = row.as_value(), Person.of(actor)
        if refusal := may_approve(rule, person=person, authors=value.authors):
            raise ApprovalDenied(refusal)
        check_base(value)
        if person.id in {approval.by.id for approval in value.approvals}:
            return value
        approvals = (*value.approvals, Approval(by=person, at=now))
        row.approvals = [*row.approvals, {**kept_person(person), "at": to_rfc3339(now)}]
        missing = approvals_missing(rule, authors=value.authors, approvals=approvals)
        row.state = ChangeState.DRAFT if missing else ChangeState.APPROVED
        save_change(row, now=now)
        record_change("devices.policy_change.approved", row, actor=actor, now=now, more={"approvals_missing": missing})
    return row.as_value()


def check_base(change: PolicyChange) -> None:
    """Nothing, if the change was made from the policy in force and differs from it. Raises BaseMoved, NothingToChange.

    The caller holds the domain's policy.
    """
    if standing_of(change=change).base_moved:
        raise BaseMoved(
            f"The policy was changed since change {change.number} was made from it: rebase it, and look at it again."
        )
    if differences(change.base, change.document).is_empty:
        raise NothingToChange(f"Change {change.number} changes nothing yet: write on it first.")


def reject_change(
    *, change: PolicyChangeId, note: str = "", expected_version: int | None = None, actor: Actor, now: datetime
) -> PolicyChange:
    """The change, which is not to be done. Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState."""
    with transaction.atomic():
        row, _ = locked_change(change, expected_version=expected_version, among=OPEN)
        end_change(row, ChangeState.REJECTED, note=note, actor=actor, now=now)
        record_change("devices.policy_change.rejected", row, actor=actor, now=now, note=note)
    return row.as_value()


def withdraw_change(
    *, change: PolicyChangeId, note: str = "", expected_version: int | None = None, actor: Actor, now: datetime
) -> PolicyChange:
    """The change, which nobody wants any more. Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState."""
    with transaction.atomic():
        row, _ = locked_change(change, expected_version=expected_version, among=OPEN)
        end_change(row, ChangeState.WITHDRAWN, note=note, actor=actor, now=now)
        record_change("devices.policy_change.withdrawn", row, actor=actor, now=now, note=note)
    return row.as_value()
