"""Writing the rules that one device has alone: a role for nobody else, and the binding that gives it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from acl import services as roles
from acl.core.own_rules import own_role_name
from acl.core.rules import RuleSpec
from acl.core.values import RoleId
from devices.core.lifecycle import ENDED, WrongState
from devices.core.policy_changes import PolicyChange
from devices.core.policy_own_rules import with_own_rules
from devices.core.values import BindingId, DeviceId, PrincipalKind
from devices.models import Binding, Device
from devices.queries import UnknownDevice, get_device
from devices.queries.device_rules import DeviceRules, device_rules
from devices.queries.policy import policy_document
from devices.services.bindings import BindingTarget, bind_role, unbind_role
from devices.services.policy_changes import draft_change
from devices.services.policy_gate import enter_policy, lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Superseded
from kernel.core.ids import DomainId


class DeviceRulesChanged(Superseded):
    """Somebody changed the device's rules since they were read."""


def set_device_rules(
    *, device: DeviceId, rules: Sequence[RuleSpec], expected_digest: str | None = None, actor: Actor, now: datetime
) -> DeviceRules:
    """The device's own rules as they are now; without any it has only what roles give it.

    A device that is revoked or decommissioned keeps what it had, without effect, until it is taken away: no rules can
    be given to it. Raises UnknownDevice, InvalidRole, ApprovalRequired, WrongState, OwnRules, and DeviceRulesChanged
    if their digest is not `expected_digest` any more.
    """
    with transaction.atomic():
        row = _locked(device)
        domain = DomainId(row.domain_id)
        before = device_rules(domain=domain, name=row.name)
        if expected_digest is not None and expected_digest != before.digest:
            raise DeviceRulesChanged(f"The rules of {row.name} were changed meanwhile: read them again, then repeat.")
        if rules and row.state in ENDED:
            raise WrongState(f"{row.name} is {row.state} for good: it can be given no rules any more.")
        if rules and before.role is None:
            made = roles.create_role(
                domain=domain, name=own_role_name(row.name), rules=rules, own=True, actor=actor, now=now
            )
            bind_role(domain=domain, role=made.id, target=BindingTarget(device=device), actor=actor, now=now)
        elif rules and before.role is not None:
            roles.change_role(role=before.role.id, rules=rules, own=True, actor=actor, now=now)
        elif before.role is not None:
            _remove(before.role.id, actor=actor, now=now)
        return device_rules(domain=domain, name=row.name)


def draft_device_rules(*, device: DeviceId, rules: Sequence[RuleSpec], actor: Actor, now: datetime) -> PolicyChange:
    """A new draft that makes these the device's own rules, and changes nothing else of the policy in force.

    Raises UnknownDevice, and what `draft_change` raises.
    """
    found = get_device(device=device)
    with transaction.atomic():
        lock_policy(found.domain)
        document = with_own_rules(policy_document(domain=found.domain), found.name, rules)
        title = f"Own rules of {found.name}"
        return draft_change(domain=found.domain, title=title, document=document, actor=actor, now=now)


def _locked(device: DeviceId) -> Device:
    """The device, locked behind the policy of its domain and before the journal. Raises UnknownDevice."""
    rows = Device.objects.of_kind(PrincipalKind.DEVICE).filter(id=device)
    domain = rows.values_list("domain_id", flat=True).first()
    if domain is not None:
        enter_policy(DomainId(domain), change=None)
    row = rows.select_for_update(no_key=True).first()
    if row is None:
        raise UnknownDevice("There is no such device.")
    return row


def _remove(role: RoleId, *, actor: Actor, now: datetime) -> None:
    for binding in Binding.objects.filter(role_id=role).values_list("id", flat=True):
        unbind_role(binding=BindingId(binding), own=True, actor=actor, now=now)
    roles.delete_role(role=role, own=True, actor=actor, now=now)
