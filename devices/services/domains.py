"""Domains and device types."""

from __future__ import annotations

from collections.abc import Mapping
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
from devices.core.values import DeviceTypeId
from devices.core.values import Domain as DomainValue
from devices.models import DeviceType, Domain
from devices.services.policy_gate import enter_policy
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.values import IssuerId


class NameTaken(Conflict):
    """Another one of the same kind has that name."""

    code = "name-taken"


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


def _record(
    action: str,
    kind: str,
    row: Domain | DeviceType,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    label = row.slug if isinstance(row, Domain) else row.name
    domain = row.id if isinstance(row, Domain) else row.domain_id
    subject = Subject(kind=kind, id=str(row.id), label=label)
    record(action=action, subject=subject, actor=actor, now=now, domain=DomainId(domain), after={"name": label})
