"""Domains, device types and groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from acl.core.own_rules import holder_of
from acl.core.values import RoleId
from acl.queries import get_role
from acl.services import OwnRules
from devices.core.attributes import parse_schema
from devices.core.names import check_name, check_slug
from devices.core.policy_changes import PolicyChangeId
from devices.core.values import DeviceId, DeviceTypeId, GroupId
from devices.core.values import Domain as DomainValue
from devices.models import Device, DeviceType, Domain, Group
from devices.queries import UnknownDevice
from devices.services.policy_gate import enter_policy, lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, NotFound
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.values import IssuerId

_MOST_TOLD = 1_000


class NameTaken(Conflict):
    """Another one of the same kind has that name."""

    code = "name-taken"


class UnknownGroup(NotFound):
    """There is no such group."""

    code = "group-unknown"


def create_domain(*, slug: str, name: str, actor: Actor, now: datetime) -> DomainValue:
    """A new, empty domain. Raises BadName, NameTaken."""
    check_slug(slug)
    try:
        with transaction.atomic():
            row = Domain.objects.create(id=new_id(), slug=slug, name=name)
            _record("devices.domain.created", "devices.domain", row, actor=actor, now=now)
    except IntegrityError as error:
        raise NameTaken(f"There is a domain {slug!r} already: choose another slug.") from error
    return row.as_value()


def set_issuer(*, domain: DomainId, issuer: IssuerId, actor: Actor, now: datetime) -> None:
    """Devices of the domain get their certificates from this issuer from now on."""
    _set(domain, "issuer_id", issuer, actor=actor, now=now)


def set_quarantine_role(
    *, domain: DomainId, role: RoleId | None, change: PolicyChangeId | None = None, actor: Actor, now: datetime
) -> None:
    """Quarantined devices of the domain have this role alone from now on, or none.

    `change` is the approved change that this is a part of. Raises ApprovalRequired, OwnRules.
    """
    with transaction.atomic():
        enter_policy(domain, change=change)
        if role is not None and holder_of(get_role(id=role).name) is not None:
            raise OwnRules("A device's own rules can not be those of quarantined devices: choose a role for many.")
        _set(domain, "quarantine_role_id", role, actor=actor, now=now)


def _set(domain: DomainId, field: str, value: Any, *, actor: Actor, now: datetime) -> None:
    with transaction.atomic():
        row = Domain.objects.select_for_update(no_key=True).get(id=domain)
        before = {field: str(getattr(row, field))}
        setattr(row, field, value)
        row.save(update_fields=[field])
        record(
            action="devices.domain.changed",
            subject=Subject(kind="devices.domain", id=str(domain), label=row.slug),
            actor=actor,
            now=now,
            domain=domain,
            before=before,
            after={field: str(value)},
        )


def create_device_type(
    *, domain: DomainId, name: str, schema: Mapping[str, Any], actor: Actor, now: datetime
) -> DeviceTypeId:
    """A new device type. Raises BadName, BadAttributes, NameTaken."""
    check_name(name)
    parse_schema(schema)
    try:
        with transaction.atomic():
            row = DeviceType.objects.create(id=new_id(), domain_id=domain, name=name, schema=dict(schema))
            _record("devices.device_type.created", "devices.device_type", row, actor=actor, now=now)
    except IntegrityError as error:
        raise NameTaken(f"There is a device type {name!r} already: choose another name.") from error
    return DeviceTypeId(row.id)


def create_group(
    *, domain: DomainId, name: str, members: Collection[DeviceId] = (), actor: Actor, now: datetime
) -> GroupId:
    """A new group with these members. Raises BadName, NameTaken, UnknownDevice."""
    check_name(name)
    try:
        with transaction.atomic():
            lock_policy(domain)  # as a change of policy does that makes groups
            row = Group.objects.create(id=new_id(), domain_id=domain, name=name)
            joined = _members(domain, members)
            row.members.set(joined)
            _record("devices.group.created", "devices.group", row, actor=actor, now=now, more=_told("added", joined))
    except IntegrityError as error:
        raise NameTaken(f"There is a group {name!r} already: choose another name.") from error
    return GroupId(row.id)


def add_to_group(*, group: GroupId, devices: Collection[DeviceId], actor: Actor, now: datetime) -> None:
    """The devices are members from now on. Raises UnknownGroup, UnknownDevice."""
    with transaction.atomic():
        row = _lock_group(group)
        known = set(row.members.filter(id__in=devices).values_list("id", flat=True))
        joined = [device for device in _members(DomainId(row.domain_id), devices) if device.id not in known]
        row.members.add(*joined)
        _record("devices.group.changed", "devices.group", row, actor=actor, now=now, more=_told("added", joined))


def remove_from_group(*, group: GroupId, devices: Collection[DeviceId], actor: Actor, now: datetime) -> None:
    """The devices are no members from now on. Raises UnknownGroup."""
    with transaction.atomic():
        row = _lock_group(group)
        left = list(row.members.filter(id__in=devices))
        row.members.remove(*left)
        _record("devices.group.changed", "devices.group", row, actor=actor, now=now, more=_told("removed", left))


def _lock_group(group: GroupId) -> Group:
    row = Group.objects.select_for_update(no_key=True).filter(id=group).first()
    if row is None:
        raise UnknownGroup("There is no such group: list the groups to see those there are.")
    return row


def _members(domain: DomainId, devices: Collection[DeviceId]) -> list[Device]:
    found = list(Device.objects.filter(domain_id=domain, id__in=devices))
    if missing := set(devices) - {DeviceId(row.id) for row in found}:
        raise UnknownDevice(f"There is no device {min(missing)} in this domain; nothing was changed.")
    return found


def _told(what: str, devices: Iterable[Device]) -> dict[str, Any]:
    """Which devices joined or left, as the journal keeps it: how many, and the ids of the first thousand."""
    ids = sorted(str(device.id) for device in devices)
    return {what: ids[:_MOST_TOLD], f"{what}_count": len(ids)}


def _record(
    action: str,
    kind: str,
    row: Domain | DeviceType | Group,
    *,
    actor: Actor,
    now: datetime,
    more: Mapping[str, Any] | None = None,
) -> None:
    label = row.slug if isinstance(row, Domain) else row.name
    domain = row.id if isinstance(row, Domain) else row.domain_id
    subject = Subject(kind=kind, id=str(row.id), label=label)
    after = {"name": label, **(more or {})}
    record(action=action, subject=subject, actor=actor, now=now, domain=DomainId(domain), after=after)
