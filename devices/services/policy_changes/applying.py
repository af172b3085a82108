"""Applying a change: everything in one transaction, each write through the service that people use for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from acl import services as roles
from acl.core.values import RoleId
from devices.conf import policy_approvers
from devices.core.policy_changes import (
    ApprovalRule,
    ChangeState,
    PolicyChange,
    PolicyChangeId,
    approvals_missing,
)
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDifference, differences
from devices.core.values import DeviceId, PrincipalKind
from devices.models import Device, Group
from devices.models import PolicyChange as PolicyChangeRow
from devices.queries.policy import PolicyNow, policy_now
from devices.services.bindings import BindingTarget, UnknownTarget, bind_role, change_binding, unbind_role
from devices.services.domains import set_quarantine_role
from devices.services.groups import write_groups
from devices.services.policy_changes.approving import check_base
from devices.services.policy_changes.rows import end_change, locked_change, record_change, save_change
from devices.services.policy_gate import check_rollout
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Entry


class ApprovalsMissing(Conflict):
    """The change was not approved as its domain asks for now."""

    code = "approvals-missing"


class TargetGone(Conflict):
    """What the change gives a role to is gone."""

    code = "binding-target-gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChange:
    """The change, and the operation in which the brokers follow."""

    change: PolicyChange
    operation: EntryId


def apply_change(
    *, change: PolicyChangeId, expected_version: int | None = None, actor: Actor, now: datetime
) -> AppliedChange:
    """The change, in force as a whole; the brokers follow. What goes wrong leaves the policy as it was.

    Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState, ApprovalsMissing, BaseMoved, NothingToChange,
    TargetGone, RolloutUnderWay.
    """
    with transaction.atomic():
        row, rule = locked_change(change, expected_version=expected_version, among={ChangeState.APPROVED})
        value = row.as_value()
        check_rollout(value.domain, change=value.id)
        check_approvals(rule, value)
        check_base(value)
        entry = write_change(row, actor=actor, now=now)
    return AppliedChange(change=row.as_value(), operation=entry.id)


def write_change(row: PolicyChangeRow, *, actor: Actor, now: datetime) -> Entry:
    """The entry that says the change is in force. The caller holds the domain's policy, which is the change's base.

    Raises TargetGone.
    """
    value = row.as_value()
    difference = differences(value.base, value.document)
    _lock_targets(value.domain, difference.bindings_added)
    _Writer(value, actor=actor, now=now).write(difference)
    end_change(row, ChangeState.APPLIED, note="", actor=actor, now=now)
    if row.rolls_back_id:
        _roll_back(PolicyChangeId(row.rolls_back_id), by=row, actor=actor, now=now)
    return record_change("devices.policy_change.applied", row, actor=actor, now=now, more=_told(difference, value))


def check_approvals(rule: ApprovalRule, change: PolicyChange) -> None:
    """Nothing, if the change has all approvals that it needs. Raises ApprovalsMissing.

    Where four eyes are asked for, an approval counts only as long as who gave it may approve still.
    """
    approvals = change.approvals
    if rule is not ApprovalRule.NONE:
        given = {approval.by.id for approval in approvals}
        still = policy_approvers().who_may_approve(change.domain, among=given)
        approvals = tuple(approval for approval in approvals if approval.by.id in still)
    missing = approvals_missing(rule, authors=change.authors, approvals=approvals)
    if missing:
        raise ApprovalsMissing(
            f"Change {change.number} needs {missing} more approval(s) of operators who wrote nothing of it "
            "and may approve by now."
        )


def _lock_targets(domain: DomainId, bindings: Iterable[BindingSpec]) -> None:
    """Holds what is bound before the journal is held: whoever changes a device or a group locks in that order."""
    wanted: dict[BindingVia, set[str]] = {via: set() for via in BindingVia}
    for binding in bindings:
        wanted[binding.via].add(binding.target)
    principals = wanted[BindingVia.DEVICE] | wanted[BindingVia.APPLICATION]
    for model, names in ((Device, principals), (Group, wanted[BindingVia.GROUP])):
        if names:
            rows = model.objects.filter(domain_id=domain, name__in=names).order_by("id")
            list(rows.select_for_update(no_key=True).values_list("id"))


def _roll_back(change: PolicyChangeId, *, by: PolicyChangeRow, actor: Actor, now: datetime) -> None:
    row = PolicyChangeRow.objects.select_for_update(no_key=True).get(id=change)
    if row.state != ChangeState.APPLIED:
        return
    row.state = ChangeState.ROLLED_BACK
    save_change(row, now=now)
    record_change("devices.policy_change.rolled_back", row, actor=actor, now=now, more={"by": str(by.id)})


def _told(difference: PolicyDifference, change: PolicyChange) -> dict[str, object]:
    return {
        "roles_added": [role.name for role in difference.roles_added],
        "roles_changed": [role.name for role in difference.roles_changed],
        "roles_removed": [role.name for role in difference.roles_removed],
        "bindings_added": len(difference.bindings_added),
        "bindings_changed": len(difference.bindings_changed),
        "bindings_removed": len(difference.bindings_removed),
        "groups_changed": [group.name for group in difference.groups_changed],
        "authors": [author.label for author in change.authors],
        "approved_by": [approval.by.label for approval in change.approvals],
    }


class _Writer:
    """Writes a difference. The caller holds the domain's policy, which is the change's base.

    The change's document was checked: a device's own rules come and go with what gives them to it.
    """

    def __init__(self, change: PolicyChange, *, actor: Actor, now: datetime) -> None:
        self._change, self._actor, self._now = change, actor, now
        self._before: PolicyNow = policy_now(domain=change.domain)
        self._ids = {name: role.id for name, role in self._before.roles.items()}

    def write(self, difference: PolicyDifference) -> None:
        """Nothing; the policy is changed. Raises TargetGone, GroupKind."""
        groups = [*difference.groups_added, *(changed.after for changed in difference.groups_changed)]
        write_groups(
            domain=self._change.domain, groups=groups, change=self._change.id, actor=self._actor, now=self._now
        )
        for binding in difference.bindings_removed:
            unbind_role(
                binding=self._before.bindings[binding],
                own=True,
                change=self._change.id,
                actor=self._actor,
                now=self._now,
            )
        self._write_roles(difference)
        for changed in difference.bindings_changed:
            change_binding(
                binding=self._before.bindings[changed.before],
                window=changed.after.window,
                change=self._change.id,
                actor=self._actor,
                now=self._now,
            )
        for binding in difference.bindings_added:
            self._bind(binding)
        if difference.quarantine_role is not None:
            wanted = difference.quarantine_role[1]
            self._quarantine(self._ids[wanted] if wanted else None)
        for gone in difference.roles_removed:
            role = self._ids[gone.name]
            roles.delete_role(role=role, own=True, change=self._change.id, actor=self._actor, now=self._now)

    def _write_roles(self, difference: PolicyDifference) -> None:
        for role in difference.roles_added:
            made = roles.create_role(
                domain=self._change.domain,
                name=role.name,
                description=role.description,
                rules=role.rules,
                own=True,
                change=self._change.id,
                actor=self._actor,
                now=self._now,
            )
            self._ids[role.name] = made.id
        for changed in difference.roles_changed:
            roles.change_role(
                role=self._ids[changed.name],
                description=changed.after.description,
                rules=changed.after.rules,
                own=True,
                change=self._change.id,
                actor=self._actor,
                now=self._now,
            )

    def _bind(self, binding: BindingSpec) -> None:
        try:
            bind_role(
                domain=self._change.domain,
                role=self._ids[binding.role],
                target=self._target(binding),
                window=binding.window,
                change=self._change.id,
                actor=self._actor,
                now=self._now,
            )
        except UnknownTarget as error:
            raise TargetGone(
                f"{binding.role} is given to the {binding.via.value} {binding.target}, which is gone: "
                "take that binding out of the change."
            ) from error

    def _target(self, binding: BindingSpec) -> BindingTarget:
        match binding.via:
            case BindingVia.GROUP:
                return BindingTarget(group=binding.target)
            case BindingVia.DEVICE_TYPE:
                return BindingTarget(device_type=binding.target)
            case BindingVia.DOMAIN:
                return BindingTarget(domain=binding.target)
        kind = PrincipalKind(binding.via)
        found = Device.objects.of_kind(kind).filter(domain_id=self._change.domain, name=binding.target)
        id = found.values_list("id", flat=True).first()
        if id is None:
            raise UnknownTarget(f"There is no such {kind}.")
        return BindingTarget.principal(kind, DeviceId(id))

    def _quarantine(self, role: RoleId | None) -> None:
        set_quarantine_role(
            domain=self._change.domain, role=role, change=self._change.id, actor=self._actor, now=self._now
        )
