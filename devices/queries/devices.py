"""Devices: one, and lists by keyset."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from devices.core.attributes import ATTRIBUTE_NAME
from devices.core.values import AttributeValue, Device, DeviceId, DeviceState
from devices.models import Device as DeviceRow
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId


class UnknownDevice(NotFound):
    """There is no such device, or none that may be seen."""

    code = "device-unknown"


def get_device(*, device: DeviceId, domains: Collection[DomainId] | None = None) -> Device:
    """The device of that id, in one of `domains` if they are given. Raises UnknownDevice."""
    rows = DeviceRow.objects.whole().filter(id=device)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownDevice("There is no such device: list the devices to see those there are.")
    return row.as_value()


def device_names(*, devices: Collection[DeviceId], domains: Collection[DomainId]) -> dict[DeviceId, str]:
    """The names of those devices that exist in these domains."""
    rows = DeviceRow.objects.filter(id__in=devices, domain_id__in=domains).order_by()
    return {DeviceId(id): name for id, name in rows.values_list("id", "name")}


def find_device_by_auth_id(*, domain: DomainId, auth_id: str) -> Device | None:
    """The device that authenticates by that name in the domain, or None."""
    row = DeviceRow.objects.whole().filter(domain_id=domain, auth_id=auth_id).first()
    return row.as_value() if row else None


def find_device_by_name(*, domain: DomainId, name: str) -> Device | None:
    """The device of that name in the domain, or None."""
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
    """A page of devices by (name, id). `has_more`: there are others beyond it in the direction of travel."""

    devices: tuple[Device, ...]
    has_more: bool


Place = tuple[str, DeviceId]


_NUMBER = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,16})?")


def list_devices(
    *,
    domains: Collection[DomainId],
    narrowed: DeviceFilter | None = None,
    after: Place | None = None,
    before: Place | None = None,
    limit: int = 100,
) -> DevicePage:
    """Devices by name beyond `after`, or the last ones ahead of `before`; at most `limit`."""
    rows = _narrow(DeviceRow.objects.whole().filter(domain_id__in=domains), narrowed or DeviceFilter())
    if before is not None:
        name, device = before
        rows = rows.filter(name__lte=name).exclude(name=name, id__gte=device)
        found = list(rows.order_by("-name", "-id")[: limit + 1])
        return DevicePage(devices=tuple(row.as_value() for row in reversed(found[:limit])), has_more=len(found) > limit)
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


def count_devices(*, domains: Collection[DomainId], narrowed: DeviceFilter | None = None) -> int:
    """How many there are; counted up to 10,000 and no further, so that a million cost no more."""
    rows = _narrow(DeviceRow.objects.filter(domain_id__in=domains), narrowed or DeviceFilter())
    return int(rows.order_by()[:APPROXIMATE_FROM].count())


def count_by_state(*, domains: Collection[DomainId]) -> dict[DeviceState, int]:
    """How many devices are in each state."""
    rows = DeviceRow.objects.filter(domain_id__in=domains).order_by().values_list("state").annotate(Count("id"))
    counted = {DeviceState(state): count for state, count in rows}
    return {state: counted.get(state, 0) for state in DeviceState}
