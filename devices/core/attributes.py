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
MAX_NUMBER = 2**53
MAX_ATTRIBUTES = 64
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
    """One declared attribute. `choices` is empty for any value; `max_length` counts characters of a string.

    `topic_safe` refuses what would make every rule with its placeholder void. `operators_only` refuses it from a device
    that enrols: what roles hang on is then no word of its own.
    """

    name: str
    type: AttributeType
    required: bool = False
    choices: tuple[str, ...] = ()
    max_length: int = MAX_TEXT
    topic_safe: bool = False
    operators_only: bool = False


_OPTIONS = frozenset({"type", "required", "choices", "max_length", "topic_safe", "operators_only"})
_FOR_STRINGS = frozenset({"choices", "max_length", "topic_safe"})


def parse_schema(schema: Mapping[str, Any]) -> tuple[AttributeSpec, ...]:
    """The attributes that a schema like `{"site": {"type": "string"}}` declares. Raises BadAttributes."""
    specs, errors = [], []
    for name, declared in sorted(schema.items()):
        if fault := _declaration_fault(name, declared):
            errors.append(_error(f"/schema/{ascii(name[:64])[1:-1]}", fault))
        else:
            specs.append(_spec(name, declared))
    if len(schema) > MAX_ATTRIBUTES:
        errors = [_error("/schema", f"has {len(schema)} attributes; declare at most {MAX_ATTRIBUTES}")]
    _raise(errors)
    return tuple(specs)


def _declaration_fault(name: str, declared: object) -> str | None:
    if not ATTRIBUTE_NAME.fullmatch(name):
        return "is no name: 1 to 32 lower-case letters, digits and single _, a letter first"
    if not isinstance(declared, dict) or declared.get("type") not in list(AttributeType):
        return f"needs a type, one of {', '.join(AttributeType)}"
    if unknown := sorted(set(declared) - _OPTIONS):
        return f"has no option {unknown[0][:64]!r}; there are {', '.join(sorted(_OPTIONS))}"
    if declared["type"] != AttributeType.STRING and (given := sorted(set(declared) & _FOR_STRINGS)):
        return f"can not have {given[0]}, which is for strings"
    return _option_fault(declared)


def _option_fault(declared: Mapping[str, Any]) -> str | None:
    for option in ("required", "topic_safe", "operators_only"):
        if not isinstance(declared.get(option, False), bool):
            return f"has {option}, which is true or false"
    choices = declared.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(choice, str) and _is_storable(choice) for choice in choices):
        return "has choices, which is a list of strings without NUL"
    length = declared.get("max_length", MAX_TEXT)
    if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= MAX_TEXT:
        return f"has max_length, which is a number from 1 to {MAX_TEXT}"
    return None


def _spec(name: str, declared: Mapping[str, Any]) -> AttributeSpec:
    return AttributeSpec(
        name=name,
        type=AttributeType(declared["type"]),
        required=declared.get("required", False),
        choices=tuple(declared.get("choices", ())),
        max_length=declared.get("max_length", MAX_TEXT),
        topic_safe=declared.get("topic_safe", False),
        operators_only=declared.get("operators_only", False),
    )


def check_attributes(values: Mapping[str, Any], specs: tuple[AttributeSpec, ...]) -> dict[str, AttributeValue]:
    """The values, if each is declared and of its type. Raises BadAttributes with every fault."""
    if len(values) > MAX_ATTRIBUTES:  # else each that is not known would be told with all that are
        _raise([_error("/attributes", f"has {len(values)} attributes; give at most {MAX_ATTRIBUTES}")])
    by_name = {spec.name: spec for spec in specs}
    known = f"is not declared by the device type, which knows {', '.join(by_name) or 'none'}"
    errors = [_error(f"/attributes/{ascii(name[:64])[1:-1]}", known) for name in values if name not in by_name]
    for spec in specs:
        if spec.name not in values:
            if spec.required:
                errors.append(_error(f"/attributes/{spec.name}", "is required"))
        elif fault := _fault(values[spec.name], spec):
            errors.append(_error(f"/attributes/{spec.name}", fault))
    _raise(errors)
    return dict(values)


def check_told(
    told: Mapping[str, Any], specs: tuple[AttributeSpec, ...], *, registered: Mapping[str, AttributeValue]
) -> None:
    """Nothing, if a device that enrols may tell these beside what it is registered with. Raises BadAttributes."""
    kept = {spec.name for spec in specs if spec.operators_only}
    what = "is told by operators alone: have the device registered with it, or leave it out"
    _raise([_error(f"/attributes/{name}", what) for name in sorted(kept & told.keys() - registered.keys())])


def _fault(value: Any, spec: AttributeSpec) -> str | None:
    is_bool = isinstance(value, bool)
    if is_bool != (spec.type is AttributeType.BOOLEAN) or not isinstance(value, _PYTHON_TYPES[spec.type]):
        return f"has to be a {spec.type}"
    if isinstance(value, str):
        return _text_fault(value, spec)
    if isinstance(value, int | float) and not -MAX_NUMBER <= value <= MAX_NUMBER:  # false for NaN too
        return f"has to lie between -{MAX_NUMBER} and {MAX_NUMBER}"
    return None


def _text_fault(value: str, spec: AttributeSpec) -> str | None:
    if len(value) > spec.max_length:
        return f"has {len(value)} characters; at most {spec.max_length} are kept"
    if not _is_storable(value):
        return "has a NUL or half a character; leave it out"
    if spec.choices and value not in spec.choices:
        return f"has to be one of {', '.join(spec.choices)}"
    if spec.topic_safe and (not value or value.startswith("$") or any(c in "/+#" or ord(c) < 32 for c in value)):
        return "has to be safe in a topic: not empty, no / + # or control character, no $ in front"
    return None


def _is_storable(text: str) -> bool:
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


def _error(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, code="bad-attribute", detail=detail)


def _raise(errors: list[FieldError]) -> None:
    if errors:
        said = "; ".join(f"{error.pointer.rpartition('/')[2]} {error.detail}" for error in errors[:5])
        raise BadAttributes(f"The attributes do not fit: {said}.", errors=tuple(errors))
