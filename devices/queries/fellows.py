"""Sets of devices that people name: one device or application, a group, a device type, a whole domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from acl import queries as roles
from acl.core.analysis_conditions import ALWAYS
from acl.core.values import Role
from devices.core.values import Domain, PrincipalKind
from devices.models import Binding, Device, DeviceType, Group
from devices.queries.reaching import Fellows, Reached, reached_rows
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId


class UnknownFellows(NotFound):
    """There is no such group, device type or device in the domain."""

    code = "devices-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSet:
    """Devices that belong together. `among` is None for those of the whole domain; `label` names them for people."""

    domain: Domain
    among: Fellows | None
    label: str


def find_device_set(*, domain: Domain, via: str = "domain", name: str = "") -> DeviceSet:
    """The devices of that group, device type, device or application (by name or id), or of the domain.

    Raises UnknownFellows.
    """
    if via == "domain":
        return DeviceSet(domain=domain, among=None, label=f"domain {domain.slug}")
    kind = via.replace("_", " ")
    rows: Any = {"group": Group.objects, "device_type": DeviceType.objects}.get(via)
    if rows is None:
        rows = Device.objects.of_kind(PrincipalKind(via))
    id = _uuid(name)
    row = rows.filter(domain_id=domain.id, **({"pk": id} if id else {"name": name})).first()
    if row is None:
        raise UnknownFellows(f"There is no {kind} {name[:64]!r} in the domain: look at its list.")
    return DeviceSet(domain=domain, among=Fellows(via=via, id=row.pk), label=f"{kind} {row.name}")


def roles_among(devices: DeviceSet, *, now: datetime) -> list[Role]:
    """The roles that at least one active device of the set has now, by name; of a domain, those that are bound."""
    domain = DomainId(devices.domain.id)
    bindings = Binding.objects.filter(domain_id=domain).in_force(now=now).order_by()
    if devices.among is not None:
        rows = reached_rows(Reached(domain=domain, condition=ALWAYS, now=now, among=devices.among))
        if not rows.exists():
            return []
        members = Device.groups.through.objects.filter(device_id__in=rows.values("id"))
        wide = Q(whole_domain=True)
        wide |= Q(device_type_id__in=set(rows.values_list("device_type_id", flat=True).distinct()))
        wide |= Q(group_id__in=set(members.values_list("group_id", flat=True).distinct()))
        bindings = bindings.filter(wide | Q(device_id__in=rows.values("id")))
    bound = set(bindings.values_list("role_id", flat=True).distinct())
    return [role for role in roles.list_roles(domains=[domain]) if role.id in bound]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
