"""Devices in a file, one a line: NDJSON, or CSV with a header whose other columns are `attr.<name>`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devices.core.attributes import AttributeSpec, AttributeType
from kernel.core.errors import Invalid

MEMBERS = ("name", "device_type", "hardware_serial", "attributes")


class BadRow(Invalid):
    """The row can not be read as a device."""

    code = "bad-row"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A device as a file has it. Values of `attributes` from a CSV are text until `typed` reads them."""

    name: str
    device_type: str
    hardware_serial: str
    attributes: Mapping[str, Any]


def read_ndjson(lines: Iterable[str]) -> Iterator[tuple[int, DeviceRow | BadRow]]:
    """(number of the line from 1, its device or what is wrong with it); empty lines are left out."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, _from_json(line)
            except BadRow as error:
                yield number, error


def read_csv(lines: Iterable[str]) -> Iterator[tuple[int, DeviceRow | BadRow]]:
    """The same of a CSV. Raises BadRow if its header names a column that there is not."""
    reader = csv.DictReader(lines, restkey="", strict=True)
    known = {name for name in reader.fieldnames or () if name in MEMBERS[:3] or name.startswith("attr.")}
    if unknown := sorted(set(reader.fieldnames or ()) - known):
        there_are = "name, device_type, hardware_serial and attr.NAME"
        raise BadRow(f"There is no column {unknown[0][:64]!r}: there are {there_are}.")
    if "name" not in known:
        raise BadRow("The first line has to name the columns, and one of them has to be name.")
    try:
        for row in reader:
            yield reader.line_num, _from_csv(row)
    except csv.Error as error:
        yield reader.line_num, BadRow(f"This is no CSV: {error}.")


def typed(attributes: Mapping[str, Any], specs: Iterable[AttributeSpec]) -> dict[str, Any]:
    """The attributes with texts read as the numbers and truth values that their type wants, where they are such."""
    kinds = {spec.name: spec.type for spec in specs}
    return {name: _typed(value, kinds.get(name)) for name, value in attributes.items()}


def _typed(value: Any, kind: AttributeType | None) -> Any:
    if not isinstance(value, str):
        return value
    try:
        match kind:
            case AttributeType.INTEGER:
                return int(value)
            case AttributeType.NUMBER:
                return float(value)
            case AttributeType.BOOLEAN:
                return {"true": True, "false": False}.get(value.lower(), value)
    except ValueError:
        pass  # it stays the text that it is, and is refused with the words for its type
    return value


def _from_json(line: str) -> DeviceRow:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow("The line is no JSON object.") from error
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise BadRow('The line has to be a JSON object with a "name".')
    if unknown := sorted(set(found) - set(MEMBERS)):
        raise BadRow(f"There is no member {unknown[0][:64]!r}: there are {', '.join(MEMBERS)}.")
    kind, serial = found.get("device_type", ""), found.get("hardware_serial", "")
    attributes = found.get("attributes", {})
    if not isinstance(kind, str) or not isinstance(serial, str) or not isinstance(attributes, dict):
        raise BadRow("device_type and hardware_serial are texts, attributes is an object.")
    return DeviceRow(name=found["name"], device_type=kind, hardware_serial=serial, attributes=attributes)


def _from_csv(row: Mapping[str, Any]) -> DeviceRow | BadRow:
    if "" in row or None in row.values():
        return BadRow("The row has more or fewer fields than the header.")
    given = {name.removeprefix("attr."): value for name, value in row.items() if name.startswith("attr.")}
    return DeviceRow(
        name=row["name"],
        device_type=row.get("device_type", ""),
        hardware_serial=row.get("hardware_serial", ""),
        attributes={name: value for name, value in given.items() if value},
    )
