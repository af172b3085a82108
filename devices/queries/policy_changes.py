"""Reading changes of policy, and what a document means for one device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from devices.core.policy_changes import (
    OPEN,
    ApprovalRule,
    ChangeState,
    Person,
    PolicyChange,
    PolicyChangeId,
)
from devices.core.policy_document import PolicyDocument
from devices.core.policy_merge import Merge, merge, same_policy
from devices.models import Domain
from devices.models import PolicyChange as PolicyChangeRow
from devices.queries.policy import policy_document
from kernel.core.actor import ActorKind
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId


class PolicyChangeNotFound(NotFound):
    """There is no such change, or none that may be seen."""

    code = "policy-change-not-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change in a list, without its documents."""

    id: PolicyChangeId
    domain: DomainId
    number: int
    title: str
    state: ChangeState
    version: int
    authors: tuple[Person, ...]
    approvals: int
    rolls_back: PolicyChangeId | None
    created_at: datetime
    changed_at: datetime
    ended_at: datetime | None
    ended_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an open change stands to the policy in force. `merged` is what rebasing it would come to; None if in step."""

    present: PolicyDocument
    merged: Merge | None

    @property
    def base_moved(self) -> bool:
        """Whether the policy was changed since the draft was made."""
        return self.merged is not None


def missing_change() -> PolicyChangeNotFound:
    """The error that there is no such change."""
    return PolicyChangeNotFound("There is no such change: list the changes to see those there are.")


def get_change(*, change: PolicyChangeId, domains: Collection[DomainId] | None = None) -> PolicyChange:
    """The change, in one of `domains` if they are given. Raises PolicyChangeNotFound."""
    rows = PolicyChangeRow.objects.select_related("domain").filter(id=change)
    row = (rows if domains is None else rows.filter(domain_id__in=domains)).first()
    if row is None:
        raise missing_change()
    return row.as_value()


def list_changes(
    *,
    domains: Collection[DomainId],
    states: Collection[ChangeState] | None = None,
    after: PolicyChangeId | None = None,
    limit: int | None = None,
) -> list[ChangeRow]:
    """The changes of the domains, newest first, in one of `states` and older than `after` only, at most `limit`.

    With IN_HISTORY they are the versions of the policy; `get_change` has the documents before and after each.
    """
    rows = PolicyChangeRow.objects.filter(domain_id__in=domains).defer("base", "document").order_by("-id")
    if states is not None:
        rows = rows.filter(state__in=states)
    if after is not None:
        rows = rows.filter(id__lt=after)
    return [_change_row(row) for row in rows[:limit]]


def count_changes(*, domains: Collection[DomainId], states: Collection[ChangeState] | None = None) -> int:
    """How many changes the domains have, in one of `states` only if they are given."""
    rows = PolicyChangeRow.objects.filter(domain_id__in=domains)
    return (rows if states is None else rows.filter(state__in=states)).count()


def approval_rule_of(*, domain: DomainId) -> ApprovalRule:
    """Whose eyes a change of the domain's policy needs."""
    return ApprovalRule(Domain.objects.values_list("policy_approval", flat=True).get(id=domain))


def standing_of(*, change: PolicyChange) -> Standing:
    """How the change stands to the policy in force; in step once it is not open any more."""
    present = policy_document(domain=change.domain)
    if change.state not in OPEN or same_policy(change.base, present):
        return Standing(present=present, merged=None)
    return Standing(present=present, merged=merge(base=change.base, present=present, draft=change.document))


def _change_row(row: PolicyChangeRow) -> ChangeRow:
    ended_by = row.ended_by or {}
    return ChangeRow(
        id=PolicyChangeId(row.id),
        domain=DomainId(row.domain_id),
        number=row.number,
        title=row.title,
        state=ChangeState(row.state),
        version=row.version,
        authors=tuple(Person(kind=ActorKind(each["kind"]), id=each["id"], label=each["label"]) for each in row.authors),
        approvals=len(row.approvals),
        rolls_back=PolicyChangeId(row.rolls_back_id) if row.rolls_back_id else None,
        created_at=row.created_at,
        changed_at=row.changed_at,
        ended_at=row.ended_at,
        ended_by=ended_by.get("label", ""),
    )
