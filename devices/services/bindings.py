"""Giving roles, and taking them away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar

from django.db import IntegrityError, transaction

from acl import queries as roles
from acl.core.own_rules import holder_of
from acl.core.values import RoleId
from acl.services import OwnRules
from devices.core.policy_changes import PolicyChangeId
from devices.core.values import BindingId, DeviceId, DeviceState, PrincipalKind
from devices.core.windows import ALWAYS, Window, check_window
from devices.models import Binding, Device, DeviceType, Domain, Group
from devices.queries.bindings import target_of, unknown_binding
from devices.services.policy_gate import enter_policy
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid, NotFound, Superseded
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record


class UnknownTarget(NotFound):
    """There is nothing of that name to give a role to."""

    code = "binding-target-unknown"


class BindingMoved(Superseded):
    """The binding was changed since it was read."""


class AlreadyBound(Conflict):
    """The role is given to it already."""

    code = "already-bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingTarget:
    """What a role is given to: exactly one of these. Groups and types by name; the whole domain by its slug."""

    device: DeviceId | None = None
    application: DeviceId | None = None
    group: str | None = None
    device_type: str | None = None
    domain: str | None = None

    @classmethod
    def principal(cls, kind: PrincipalKind, id: DeviceId) -> Self:
        """One device, or one application."""
        return cls(application=id) if kind is PrincipalKind.APPLICATION else cls(device=id)


def bind_role(
    *,
    domain: DomainId,
    role: RoleId,
    target: BindingTarget,
    window: Window = ALWAYS,
    change: PolicyChangeId | None = None,
    actor: Actor,
    now: datetime,
) -> BindingId:
    """The new binding. Raises UnknownTarget, RoleNotFound, AlreadyBound, OwnRules, Invalid.

    The role counts in the window alone; raises BadMoment, EmptyWindow, and EndedWindow unless it is a part of a change:
    that may have been written in time. `change` is the approved change of the domain's policy that this is a part of;
    raises ApprovalRequired without one where the domain wants its policy approved.
    """
    check_window(window, now=None if change else now)
    with transaction.atomic():
        enter_policy(domain, change=change)
        found = roles.get_role(id=role, domains=[domain])
        row = Binding(id=new_id(), domain_id=domain, role_id=found.id)
        _set_window(row, window, now=now)
        via, label = _aim(row, target, domain=domain)
        _check_own(found.name, row.device, window)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise AlreadyBound(f"The role {found.name} is given to the {via} {label} already.") from error
        record_binding(
            "devices.binding.created", row, before={}, after=facts_of(row), change=change, actor=actor, now=now
        )
    return BindingId(row.id)


def change_binding(
    *,
    binding: BindingId,
    window: Window,
    expected_version: int | None = None,
    change: PolicyChangeId | None = None,
    actor: Actor,
    now: datetime,
) -> int:
    """The binding's version, once its role counts in that window and no other. The same window changes nothing.

    Raises UnknownBinding, ApprovalRequired, OwnRules, BadMoment, EmptyWindow, EndedWindow unless it is a part of a
    change, and BindingMoved if the binding is not at `expected_version` any more.
    """
    check_window(window, now=None if change else now)
    with transaction.atomic():
        row = _locked(binding, change)
        if expected_version is not None and row.version != expected_version:
            raise BindingMoved(f"The binding is at version {row.version} by now: read it again, then repeat.")
        _check_own(row.role.name, row.device, window)
        if row.window != window:
            before = facts_of(row)
            _set_window(row, window, now=now)
            row.version += 1
            row.save(update_fields=["not_before", "not_after", "window_told", "version"])
            record_binding(
                "devices.binding.changed",
                row,
                before=before,
                after=facts_of(row),
                change=change,
                actor=actor,
                now=now,
            )
    return row.version


def unbind_role(
    *,
    binding: BindingId,
    own: bool = False,
    change: PolicyChangeId | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Takes the role away, as a part of `change` or alone. Raises UnknownBinding, ApprovalRequired.

    `own`: the caller takes a device's own rules away as well; raises OwnRules without it.
    """
    with transaction.atomic():
        row = _locked(binding, change)
        before = facts_of(row)
        if holder_of(row.role.name) is not None and not own:
            raise OwnRules(
                f"{row.role.name} stands for the rules that {before['target']} alone has: change them there."
            )
        row.delete()
        row.id = binding
        record_binding("devices.binding.removed", row, before=before, after={}, change=change, actor=actor, now=now)


def _locked(binding: BindingId, change: PolicyChangeId | None) -> Binding:
    domain = Binding.objects.filter(id=binding).values_list("domain_id", flat=True).first()
    if domain is not None:
        enter_policy(DomainId(domain), change=change)
    row = Binding.objects.select_for_update(of=("self",)).select_related("role").filter(id=binding).first()
    if row is None:
        raise unknown_binding()
    return row


def _set_window(row: Binding, window: Window, *, now: datetime) -> None:
    """What is so now needs no telling: brokers follow the entry that says it."""
    row.not_before, row.not_after = window.not_before, window.not_after
    row.window_told = window.state(now)


def _check_own(role: str, device: Device | None, window: Window) -> None:
    """A device's own rules are for it, always, and not while it is new and may be refused: then nothing of it stays."""
    holder = holder_of(role)
    if holder is None:
        return
    if device is None or device.name != holder or device.kind != PrincipalKind.DEVICE:
        raise OwnRules(f"{role} holds the rules that the device {holder} has alone: make a role for others.")
    if window != ALWAYS:
        raise OwnRules(f"The rules that {holder} has alone hold always: make a role for what holds for a time.")
    if device.state == DeviceState.ENROLLING:
        raise OwnRules(f"{holder} is being enrolled: give it rules of its own once that is decided.")


# Targets are locked before the journal is: whoever changes one holds it while waiting for the journal, and the foreign
# key of a binding is checked at the end of the transaction.
def _aim(row: Binding, target: BindingTarget, *, domain: DomainId) -> tuple[str, str]:
    given = [
        value
        for value in (target.device, target.application, target.group, target.device_type, target.domain)
        if value is not None
    ]
    if len(given) != 1:
        raise Invalid("A binding has exactly one target: a device, an application, a group, a device_type or a domain.")
    for via, id in ((PrincipalKind.DEVICE, target.device), (PrincipalKind.APPLICATION, target.application)):
        if id is not None:
            principals = Device.objects.of_kind(via).select_for_update(no_key=True)
            row.device = _found(principals.filter(domain_id=domain, id=id).first(), via, str(id))
            return via, row.device.name
    if target.group is not None:
        group = Group.objects.select_for_update(no_key=True).filter(domain_id=domain, name=target.group).first()
        row.group = _found(group, "group", target.group)
        return "group", row.group.name
    if target.device_type is not None:
        kind = DeviceType.objects.filter(domain_id=domain, name=target.device_type).first()
        row.device_type = _found(kind, "device type", target.device_type)
        return "device_type", row.device_type.name
    assert target.domain is not None
    whole = _found(Domain.objects.filter(id=domain, slug=target.domain).first(), "domain", target.domain)
    row.whole_domain = True
    return "domain", whole.slug


_Row = TypeVar("_Row")


def _found(row: _Row | None, what: str, name: str) -> _Row:
    if row is None:
        raise UnknownTarget(f"There is no {what} {name[:80]!r} in this domain.")
    return row


def facts_of(row: Binding) -> dict[str, object]:
    """What the journal says of a binding: role, target and window by their names."""
    via, target, _ = target_of(row)
    device = str(row.device_id) if row.device_id else None
    return {"role": row.role.name, "via": via, "target": target, "device": device, **row.window.as_texts()}


def record_binding(
    action: str,
    row: Binding,
    *,
    before: Mapping[str, object],
    after: Mapping[str, object],
    change: PolicyChangeId | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Writes the entry about the binding, as a part of `change` if it is one; one of both sides may be empty."""
    told = after or before
    label = f"{told['role']} → {told['via']} {told['target']}"
    record(
        action=action,
        subject=Subject(kind="devices.binding", id=str(row.id), label=label),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        before=before,
        after={**after, "change": str(change)} if change else after,
    )
