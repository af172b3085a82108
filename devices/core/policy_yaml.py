"""Policy documents as YAML: one rule and one binding a line, in one order and one spelling, so that Git tells changes.

A document that is written, read and written again has the same octets.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from devices.core.policy_document import BindingSpec, PolicyDocument
from devices.core.policy_json import InvalidPolicy, binding_from_json, policy_from_json, policy_json
from devices.core.yaml_tree import line_of, needs_quotes, read_tree

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_LINE_BREAKS = "\x85\u2028\u2029\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """A document that was read, and the line from 1 on which each of its bindings stands."""

    document: PolicyDocument
    lines: Mapping[BindingSpec, int]


def to_yaml(document: PolicyDocument) -> str:
    """The document as YAML; it ends with a line feed."""
    found = policy_json(document)
    return "".join(f"{line}\n" for line in _lines(found))


def digest(document: PolicyDocument) -> str:
    """SHA-256 over its YAML in UTF-8, as lower-case hex: the same as long as the policy is."""
    return hashlib.sha256(to_yaml(document).encode()).hexdigest()


def from_yaml(text: str | bytes) -> PolicyFile:
    """The document that the YAML (or JSON, which is YAML) says; octets are UTF-8.

    Raises BadYaml, and InvalidPolicy; the detail of each fault begins with its line.
    """
    tree = read_tree(text)
    try:
        document = policy_from_json(tree)
    except InvalidPolicy as error:
        errors = tuple(
            replace(fault, detail=f"Line {line_of(tree, fault.pointer)}: {fault.detail}") for fault in error.errors
        )
        raise InvalidPolicy(error.detail, errors=errors) from error
    lines = {}
    for number, each in enumerate(tree["bindings"]):
        lines[binding_from_json(each)] = line_of(tree, f"/bindings/{number}")
    return PolicyFile(document=document, lines=lines)


def in_line(value: Any) -> str:
    """A part of the document's JSON as it stands in YAML, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {in_line(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(in_line, value))}]"
    return _scalar(value)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"gatehouse_policy: {found['gatehouse_policy']}"
    yield f"domain: {_scalar(found['domain'])}"
    yield f"quarantine_role: {_scalar(found['quarantine_role'])}"
    yield from _list("groups", found["groups"])
    yield "roles:" if found["roles"] else "roles: []"
    for role in found["roles"]:
        yield f"- name: {_scalar(role['name'])}"
        if "description" in role:
            yield f"  description: {_scalar(role['description'])}"
        yield from (f"  {line}" for line in _list("rules", role["rules"]))
    yield from _list("bindings", found["bindings"])


def _list(name: str, items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    items = list(items)
    yield f"{name}:" if items else f"{name}: []"
    yield from (f"- {in_line(item)}" for item in items)


def _scalar(value: str | int | None) -> str:
    """The value so that every reader of YAML takes it for what it is."""
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if _BARE.fullmatch(value) and not needs_quotes(value):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if character == " " or (character.isprintable() and character not in _LINE_BREAKS):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
