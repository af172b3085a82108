"""The attributes that a device type declares, and the check of a device's values against them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from devices.core.values import AttributeValue
from kernel.core.errors import FieldError, Invalid

MAX_TEXT = 256
ATTRIBUTE_NAME = re.compile(r"(?!.*__)[a-z][a-z0-9_]{0,31}")


class BadAttributes(Invalid):
    """The attributes do not fit the device type."""

    code = "bad-attributes"


class AttributeType(StrEnum):
    """The sorts of attribute."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


_PYTHON_TYPES: dict[AttributeType, tuple[type, ...]] = {
    AttributeType.STRING: (str,),
    AttributeType.INTEGER: (int,),
    AttributeType.NUMBER: (int, float),
    AttributeType.BOOLEAN: (bool,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSpec:
    """One declared attribute. `choices` is empty for any value."""

    name: str
    type: AttributeType
    required: bool = False
    choices: tuple[str, ...] = ()


def parse_schema(schema: Mapping[str, Any]) -> tuple[AttributeSpec, ...]:
    """The attributes that a schema like `{"site": {"type": "string"}}` declares. Raises BadAttributes."""
    specs, errors = [], []
    for name, declared in sorted(schema.items()):
        pointer = f"/attributes/{name}"
        if not ATTRIBUTE_NAME.fullmatch(name):
            errors.append(
                _error(pointer, "is no name: 1 to 32 lower-case letters, digits and single _, a letter first")
            )
        elif not isinstance(declared, dict) or declared.get("type") not in set(AttributeType):
            errors.append(_error(pointer, f"needs a type, one of {', '.join(AttributeType)}"))
        else:
            specs.append(_spec(name, declared))
    _raise(errors)
    return tuple(specs)


def _spec(name: str, declared: Mapping[str, Any]) -> AttributeSpec:
    return AttributeSpec(
        name=name,
        type=AttributeType(declared["type"]),
        required=bool(declared.get("required", False)),
        choices=tuple(str(choice) for choice in declared.get("choices") or ()),
    )


def check_attributes(values: Mapping[str, Any], specs: tuple[AttributeSpec, ...]) -> dict[str, AttributeValue]:
    """The values, if each is declared and of its type. Raises BadAttributes with every fault."""
    by_name = {spec.name: spec for spec in specs}
    errors = [
        _error(f"/attributes/{name}", f"is not declared by the device type, which knows {', '.join(by_name) or 'none'}")
        for name in values
        if name not in by_name
    ]
    for spec in specs:
        if spec.name not in values:
            if spec.required:
                errors.append(_error(f"/attributes/{spec.name}", "is required"))
        elif fault := _fault(values[spec.name], spec):
            errors.append(_error(f"/attributes/{spec.name}", fault))
    _raise(errors)
    return dict(values)


def _fault(value: Any, spec: AttributeSpec) -> str | None:
    is_bool = isinstance(value, bool)
    if is_bool != (spec.type is AttributeType.BOOLEAN) or not isinstance(value, _PYTHON_TYPES[spec.type]):
        return f"has to be a {spec.type}"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"has {len(value)} characters; at most {MAX_TEXT} are kept"
    if isinstance(value, str) and "\0" in value:
        return "has a NUL; leave it out"
    if spec.choices and str(value) not in spec.choices:
        return f"has to be one of {', '.join(spec.choices)}"
    return None


def _error(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, code="bad-attribute", detail=detail)


def _raise(errors: list[FieldError]) -> None:
    if errors:
        said = "; ".join(f"{error.pointer.rpartition('/')[2]} {error.detail}" for error in errors[:5])
        raise BadAttributes(f"The attributes do not fit: {said}.", errors=tuple(errors))
