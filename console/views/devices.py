"""The list of devices: by keyset, so that a million cost no more than a page; and how to begin when there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from console.views.enrolment_lines import enrolment_lines
from console.views.frame import Visit, screen, show
from console.views.paging import Place, place_of
from devices import queries
from devices.core.values import AttributeValue, DeviceId, DeviceState
from devices.queries import APPROXIMATE_FROM, DeviceFilter
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId

_FILTERS = ("name", "state", "type", "group", "attribute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the filters offer."""

    states: tuple[str, ...]
    types: tuple[str, ...]
    groups: tuple[str, ...]
    attributes: tuple[str, ...]


@require_safe
@screen("devices:read")
def list_devices(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The devices of the domain, narrowed as asked, by name."""
    domain = visit.domain.id
    place = place_of(request, *_FILTERS)
    schemas = {name: schema for _, _, name, schema in queries.list_device_types(domains=[domain])}
    fault, narrowed = "", DeviceFilter()
    try:
        narrowed = _narrowed(place.filters, schemas)
    except Invalid as error:
        fault = error.detail
    page = queries.list_devices(domains=[domain], narrowed=narrowed, after=after_place(place), limit=place.size)
    count = queries.count_devices(domains=[domain], narrowed=narrowed)
    pager = place.pager(
        shown=len(page.devices),
        next_key=page.next_key,
        noun="devices",
        about=count if count < APPROXIMATE_FROM else None,
    )
    context = {
        "devices": page.devices,
        "pager": pager,
        "filters": place.filters,
        "fault": fault,
        "narrowed": any(place.filters.values()),
        "choices": _choices(domain, schemas),
        "may_enrol": visit.may("enrolment-tokens:write"),
        "lines": "" if page.devices or any(place.filters.values()) else enrolment_lines(),
    }
    return show(request, "devices.html", context)


def after_place(place: Place) -> tuple[str, DeviceId] | None:
    """The device before the page, by name and id; None on the first page. Raises DamagedPlace."""
    key = place.name_key()
    return (key[0], DeviceId(key[1])) if key else None


def _choices(domain: DomainId, schemas: Mapping[str, Mapping[str, Any]]) -> Choices:
    return Choices(
        states=tuple(state.value for state in DeviceState),
        types=tuple(schemas),
        groups=tuple(group.name for group in queries.list_groups(domains=[domain])),
        attributes=tuple(sorted({name for schema in schemas.values() for name in schema})),
    )


def _narrowed(filters: Mapping[str, str], schemas: Mapping[str, Mapping[str, Any]]) -> DeviceFilter:
    """The filter that the address spells. Raises Invalid."""
    if filters["state"] and filters["state"] not in set(DeviceState):
        raise Invalid(f"There is no state {filters['state']!r}: choose one from the list.")
    return DeviceFilter(
        state=filters["state"],
        device_type=filters["type"],
        group=filters["group"],
        name=filters["name"],
        attributes=dict(_attributes(filters["attribute"], schemas)) or None,
    )


def _attributes(text: str, schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, AttributeValue]]:
    """The attribute that `name=value` spells, with the value in the type that a device type declares."""
    if not text:
        return
    name, equals, value = (part.strip() for part in text.partition("="))
    declared = {schema[name]["type"] for schema in schemas.values() if name in schema}
    if not equals or not declared:
        known = ", ".join(sorted({name for schema in schemas.values() for name in schema})) or "none is declared"
        raise Invalid(f"Write an attribute as name=value; the device types declare: {known}.")
    yield name, _typed(value, declared.pop())


def _typed(value: str, declared: str) -> AttributeValue:
    try:
        match declared:
            case "boolean":
                return {"true": True, "false": False}[value.lower()]
            case "integer":
                return int(value)
            case "number":
                return float(value)
    except (KeyError, ValueError) as error:
        raise Invalid(f"The attribute takes a value of type {declared}.") from error
    return value
