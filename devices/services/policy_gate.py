"""One writer after another in the policy of a domain, and none past its four eyes."""

from __future__ import annotations

from uuid import UUID

from devices.core.policy_changes import ApprovalRule
from devices.models import Domain, Rollout
from kernel.core.errors import Conflict, Denied
from kernel.core.ids import DomainId


class ApprovalRequired(Denied):
    """The domain wants changes of its policy approved by a second operator."""

    code = "approval-required"


class RolloutUnderWay(Conflict):
    """A change comes in waves, and until it has come the policy stays as it is."""

    code = "rollout-under-way"


def lock_policy(domain: DomainId) -> ApprovalRule:
    """Whose eyes a change needs; until the transaction ends nobody else writes the domain's policy or that setting.

    Devices are enrolled meanwhile: the lock leaves foreign keys alone.
    """
    rows = Domain.objects.select_for_update(no_key=True).filter(id=domain)
    return next((ApprovalRule(rule) for rule in rows.values_list("policy_approval", flat=True)), ApprovalRule.NONE)


def enter_policy(domain: DomainId, *, change: UUID | None) -> None:
    """The same for one write, which is a part of the approved `change` or stands alone.

    Raises ApprovalRequired, and RolloutUnderWay while another change comes in waves.
    """
    if lock_policy(domain) is not ApprovalRule.NONE and change is None:
        raise ApprovalRequired(
            "This domain wants its policy approved by a second operator: make a draft under Changes, "
            "and have it approved."
        )
    check_rollout(domain, change=change)


def check_rollout(domain: DomainId, *, change: UUID | None) -> None:
    """Nothing, unless another change comes in waves. The caller holds the domain's policy. Raises RolloutUnderWay."""
    other = Rollout.objects.under_way().filter(domain_id=domain).exclude(change_id=change).whole().first()
    if other is not None:
        raise RolloutUnderWay(
            f"Change {other.change.number} is being rolled out, and until that is over the policy stays as it is: "
            "wait until it is done, or roll it back."
        )
