"""One writer after another in the policy of a domain, and none past its four eyes."""

from __future__ import annotations

from uuid import UUID

from devices.core.policy_changes import ApprovalRule
from devices.models import Domain
from kernel.core.errors import Denied
from kernel.core.ids import DomainId


class ApprovalRequired(Denied):
    """The domain wants changes of its policy approved by a second operator."""

    code = "approval-required"


def lock_policy(domain: DomainId) -> ApprovalRule:
    """Whose eyes a change needs; until the transaction ends nobody else writes the domain's policy or that setting.

    Devices are enrolled meanwhile: the lock leaves foreign keys alone.
    """
    rows = Domain.objects.select_for_update(no_key=True).filter(id=domain)
    return next((ApprovalRule(rule) for rule in rows.values_list("policy_approval", flat=True)), ApprovalRule.NONE)


def enter_policy(domain: DomainId, *, change: UUID | None) -> None:
    """The same for one write, which is a part of the approved `change` or stands alone. Raises ApprovalRequired."""
    if lock_policy(domain) is not ApprovalRule.NONE and change is None:
        raise ApprovalRequired(
            "This domain wants its policy approved by a second operator: make a draft under Changes, "
            "and have it approved."
        )
