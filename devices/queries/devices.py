"""Devices and applications: one, and lists by keyset."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from devices.core.attributes import ATTRIBUTE_NAME
from devices.core.values import AttributeValue, Device, DeviceId, DeviceState, PrincipalKind
from devices.models import Device as DeviceRow
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId


class UnknownDevice(NotFound):
    """There is no such device, or none that may be seen."""

    code = "device-unknown"


class UnknownApplication(UnknownDevice):
    """There is no such application, or none that may be seen."""

    code = "broker-application-unknown"


def get_device(*, device: DeviceId, domains: Collection[DomainId] | None = None) -> Device:
    """The device of that id, in one of `domains` if they are given. Raises UnknownDevice."""
    found = _find(device, domains)
    if found is None or found.kind is not PrincipalKind.DEVICE:
        raise UnknownDevice("There is no such device: list the devices to see those there are.")
    return found


def get_application(*, application: DeviceId, domains: Collection[DomainId] | None = None) -> Device:
    """The application of that id, in one of `domains` if they are given. Raises UnknownApplication."""
    found = _find(application, domains)
    if found is None or found.kind is not PrincipalKind.APPLICATION:
        raise UnknownApplication("There is no such application: list them to see those there are.")
    return found


def get_principal(*, id: DeviceId, domains: Collection[DomainId] | None = None) -> Device:
    """The device or application of that id, in one of `domains` if they are given. Raises UnknownDevice."""
    found = _find(id, domains)
    if found is None:
        raise UnknownDevice("There is no such device or application: list them to see those there are.")
    return found


def _find(id: DeviceId, domains: Collection[DomainId] | None) -> Device | None:
    rows = DeviceRow.objects.whole().filter(id=id)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    return row.as_value() if row else None


def device_names(*, devices: Collection[DeviceId], domains: Collection[DomainId]) -> dict[DeviceId, str]:
    """The names of those devices, and applications, that exist in these domains."""
    rows = DeviceRow.objects.filter(id__in=devices, domain_id__in=domains).order_by()
    return {DeviceId(id): name for id, name in rows.values_list("id", "name")}


def applications_among(*, ids: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Those of them that are applications."""
    rows = DeviceRow.objects.of_kind(PrincipalKind.APPLICATION).filter(id__in=ids).order_by()
    return frozenset(map(DeviceId, rows.values_list("id", flat=True)))


def principal_ids(*, domain: DomainId, auth_ids: Collection[str]) -> dict[str, DeviceId]:
    """The ids of those devices and applications of the domain, by auth id; one query."""
    rows = DeviceRow.objects.filter(domain_id=domain, auth_id__in=auth_ids).order_by()
    return {auth_id: DeviceId(id) for auth_id, id in rows.values_list("auth_id", "id")}


def principals_by_id(*, ids: Collection[DeviceId]) -> dict[DeviceId, Device]:
    """The devices and applications of those ids that exist."""
    return {DeviceId(row.id): row.as_value() for row in DeviceRow.objects.whole().filter(id__in=ids)}


def auth_ids_in_state(*, domain: DomainId, state: DeviceState) -> frozenset[str]:
    """The auth ids of all devices and applications of the domain that are in that state."""
    rows = DeviceRow.objects.filter(domain_id=domain, state=state).order_by()
    return frozenset(rows.values_list("auth_id", flat=True))


def find_principal_by_auth_id(*, domain: DomainId, auth_id: str) -> Device | None:
    """The device or application that authenticates by that name in the domain, or None."""
    row = DeviceRow.objects.whole().filter(domain_id=domain, auth_id=auth_id).first()
    return row.as_value() if row else None


def find_principal_id(*, domain: DomainId, auth_id: str) -> DeviceId | None:
    """The id of the same."""
    found = DeviceRow.objects.filter(domain_id=domain, auth_id=auth_id).values_list("id", flat=True).first()
    return DeviceId(found) if found else None


def find_principal_by_name(*, domain: DomainId, name: str) -> Device | None:
    """The device or application of that name in the domain, or None."""
    row = DeviceRow.objects.whole().filter(domain_id=domain, name=name).first()
    return row.as_value() if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """What a list of devices is narrowed to; what is empty does not narrow. `name` is a prefix.

    A text among `attributes` also finds the number or truth value that it spells.
    """

    state: str = ""
    device_type: str = ""
    group: str = ""
    name: str = ""
    attributes: Mapping[str, AttributeValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePage:
    """A page of devices by (name, id). `has_more`: there are others beyond it."""

    devices: tuple[Device, ...]
    has_more: bool

    @property
    def next_key(self) -> list[str] | None:
        """Name and id behind which the next page begins; None on the last one."""
        last = self.devices[-1] if self.has_more else None
        return [last.name, str(last.id)] if last else None


Place = tuple[str, DeviceId]


_NUMBER = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,16})?")


def list_devices(
    *,
    domains: Collection[DomainId],
    kind: PrincipalKind = PrincipalKind.DEVICE,
    narrowed: DeviceFilter | None = None,
    after: Place | None = None,
    limit: int = 100,
) -> DevicePage:
    """Devices (or applications) by name beyond `after`; at most `limit`."""
    rows = DeviceRow.objects.whole().of_kind(kind).filter(domain_id__in=domains)
    rows = _narrow(rows, narrowed or DeviceFilter())
    if after is not None:
        name, device = after
        rows = rows.filter(name__gte=name).exclude(name=name, id__lte=device)
    found = list(rows.order_by("name", "id")[: limit + 1])
    return DevicePage(devices=tuple(row.as_value() for row in found[:limit]), has_more=len(found) > limit)


def _narrow(rows: Any, narrowed: DeviceFilter) -> Any:
    if narrowed.state:
        rows = rows.filter(state=narrowed.state)
    if narrowed.device_type:
        rows = rows.filter(device_type__name=narrowed.device_type)
    if narrowed.group:
        rows = rows.filter(groups__name=narrowed.group)
    if narrowed.name:
        rows = rows.filter(name__gte=narrowed.name, name__lt=narrowed.name + "\U0010ffff")
    for name, value in (narrowed.attributes or {}).items():
        if not ATTRIBUTE_NAME.fullmatch(name):
            return rows.none()
        rows = rows.filter(**{f"attributes__{name}__in": _readings(value)})
    return rows


def _readings(value: AttributeValue) -> list[AttributeValue]:
    """The values that a text in an address can mean: itself, a truth value, a number."""
    if not isinstance(value, str):
        return [value]
    found: list[AttributeValue] = [value]
    if value in {"true", "false"}:
        found.append(value == "true")
    if _NUMBER.fullmatch(value):
        found.append(int(value) if value.lstrip("-").isdigit() else float(value))
    return found


APPROXIMATE_FROM = 10_000


def count_devices(
    *,
    domains: Collection[DomainId],
    kind: PrincipalKind = PrincipalKind.DEVICE,
    narrowed: DeviceFilter | None = None,
) -> int:
    """How many there are; counted up to 10,000 and no further, so that a million cost no more."""
    rows = DeviceRow.objects.of_kind(kind).filter(domain_id__in=domains)
    rows = _narrow(rows, narrowed or DeviceFilter())
    return int(rows.order_by()[:APPROXIMATE_FROM].count())


def count_by_state(*, domains: Collection[DomainId]) -> dict[DeviceState, int]:
    """How many devices are in each state."""
    rows = DeviceRow.objects.of_kind(PrincipalKind.DEVICE).filter(domain_id__in=domains)
    counts = rows.order_by().values_list("state").annotate(Count("id"))
    counted = {DeviceState(state): count for state, count in counts}
    return {state: counted.get(state, 0) for state in DeviceState}
