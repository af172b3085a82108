"""Policy documents as JSON values, written and read; policy.schema.json says what they look like.

What a schema can not say is checked here: that roles hold sound rules, and that what is named is in the document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from acl.core.rules import InvalidRole, RuleSpec, check_role
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Shared
from devices.core.group_query import BadQuery, canonical, query_fault
from devices.core.names import name_fault
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, Place, PolicyDocument, RoleSpec
from devices.core.policy_own_rules import own_rules_faults
from devices.core.windows import BadMoment, EmptyWindow, check_window, window_of
from devices.core.yaml_tree import below
from kernel.core.errors import FieldError, Invalid

VERSION = 1
MOST_FAULTS = 100
_SCHEMA = Path(__file__).with_name("policy.schema.json")
_PROPERTY_COUNTS = {"minProperties", "maxProperties", "oneOf"}


class InvalidPolicy(Invalid):
    """The document can not be accepted as it is; `errors` has its faults, at most 100."""

    code = "invalid-policy-document"


@cache
def schema_text() -> str:
    """The published JSON Schema (2020-12) of policy documents."""
    return _SCHEMA.read_text(encoding="utf-8")


def policy_json(document: PolicyDocument) -> dict[str, Any]:
    """The document as JSON; `policy_from_json` reads it."""
    return {
        "gatehouse_policy": VERSION,
        "domain": document.domain,
        "quarantine_role": document.quarantine_role,
        "groups": [group_json(group) for group in document.groups],
        "roles": [role_json(role) for role in document.roles],
        "bindings": [binding_json(each) for each in document.bindings],
    }


def binding_json(binding: BindingSpec) -> dict[str, Any]:
    """The binding as JSON; `binding_from_json` reads it. Bounds that its window has not are left out."""
    return {"role": binding.role, binding.via.value: binding.target, **binding.window.as_texts()}


def group_json(group: GroupSpec) -> dict[str, str]:
    """The group as JSON; without a query if it has none."""
    return {"name": group.name, "query": group.query} if group.query else {"name": group.name}


def role_json(role: RoleSpec) -> dict[str, Any]:
    """The role as JSON; without a description if it has none."""
    described = {"description": role.description} if role.description else {}
    return {"name": role.name, **described, "rules": [rule_json(rule) for rule in role.rules]}


def rule_json(rule: RuleSpec) -> dict[str, Any]:
    """The rule as JSON; conditions that hold always are left out."""
    found: dict[str, Any] = {
        "effect": rule.effect.value,
        "actions": sorted(action.value for action in rule.actions),
        "topic": rule.topic,
    }
    if rule.qos != EVERY_QOS:
        found["qos"] = sorted(rule.qos)
    if rule.retain is not Retain.ANY:
        found["retain"] = rule.retain.value
    if rule.shared is not Shared.ANY:
        found["shared"] = rule.shared.value
    if rule.shared_group is not None:
        found["shared_group"] = rule.shared_group
    return found


def policy_from_json(value: Any) -> PolicyDocument:
    """The document that a JSON value is. Raises InvalidPolicy with a FieldError for each fault, up to 100."""
    _refuse(_faults_of_shape(value))
    _refuse(_faults_of_windows(value["bindings"]))
    document = PolicyDocument.of(
        domain=value["domain"],
        quarantine_role=value["quarantine_role"],
        groups=[_group(each) for each in value["groups"]],
        roles=[_role(each) for each in value["roles"]],
        bindings=[binding_from_json(each) for each in value["bindings"]],
    )
    _refuse(_faults_of_meaning(value))
    return document


def _group(value: Mapping[str, Any]) -> GroupSpec:
    query = value.get("query", "")
    with suppress(BadQuery):  # which is told as a fault of meaning
        query = canonical(query) if query else ""
    return GroupSpec(name=value["name"], query=query)


def _role(value: Mapping[str, Any]) -> RoleSpec:
    return RoleSpec(
        name=value["name"], description=value.get("description", ""), rules=tuple(map(_rule, value["rules"]))
    )


def _rule(value: Mapping[str, Any]) -> RuleSpec:
    return RuleSpec(
        effect=Effect(value["effect"]),
        actions=frozenset(map(Action, value["actions"])),
        topic=value["topic"],
        qos=frozenset(map(int, value.get("qos", EVERY_QOS))),
        retain=Retain(value.get("retain", Retain.ANY)),
        shared=Shared(value.get("shared", Shared.ANY)),
        shared_group=value.get("shared_group"),
    )


def binding_from_json(value: Mapping[str, Any]) -> BindingSpec:
    """The binding that `binding_json` spelled. Raises BadMoment."""
    [via] = set(value) - {"role", "not_before", "not_after"}
    return BindingSpec(role=value["role"], via=BindingVia(via), target=value[via], window=window_of(value))


def _refuse(faults: Iterator[FieldError]) -> None:
    found = tuple(islice(faults, MOST_FAULTS))
    if found:
        more = " or more" if len(found) == MOST_FAULTS else ""
        detail = f"The policy document has {len(found)}{more} fault(s); the first, at {found[0].pointer or '/'}: "
        raise InvalidPolicy(detail + found[0].detail, errors=found)


@cache
def _validator() -> Validator:
    validator: Validator = extend(Draft202012Validator, {"uniqueItems": _unique})(json.loads(schema_text()))
    return validator


def _unique(_validator: Any, _wanted: Any, items: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    """The library compares each item with each; a list that is too long has a fault for that already."""
    short = isinstance(items, list) and len(items) <= schema["maxItems"]
    if short and any(item in items[:number] for number, item in enumerate(items)):
        yield ValidationError("not unique")


def _faults_of_shape(value: Any) -> Iterator[FieldError]:
    told = set()
    for error in _validator().iter_errors(value):
        for fault in _faults_of_error(error):
            if fault not in told:
                told.add(fault)
                yield fault


def _faults_of_error(error: ValidationError) -> Iterator[FieldError]:
    place = ""
    for key in error.absolute_path:
        place = below(place, key)
    if error.validator == "required":
        for name in (name for name in error.validator_value if name not in error.instance):
            yield _fault(place, "required", f"{name} is missing: add it.")
    elif error.validator == "additionalProperties":
        known = ", ".join(error.schema["properties"])
        for name in sorted(set(error.instance) - set(error.schema["properties"])):
            detail = f"There is no {name[:64]!r} here, only {known}: correct its spelling, or take it out."
            yield _fault(below(place, name), "unknown-member", detail)
    else:
        expected = error.schema.get("description", "something else")
        shown = "These members" if error.validator in _PROPERTY_COUNTS else _shown(error.instance)
        yield _fault(place, "invalid-value", f"{shown} can not stand here. What can: {expected}.")


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "A mapping" if isinstance(value, dict) else "A list" if value else "An empty list"
    text = json.dumps(value)
    return text if len(text) <= 70 else f"{text[:66]}..."


def _faults_of_windows(bindings: Iterable[Mapping[str, Any]]) -> Iterator[FieldError]:
    for number, binding in enumerate(bindings):
        try:
            check_window(window_of(binding))
        except (BadMoment, EmptyWindow) as error:
            yield _fault(f"/bindings/{number}", error.code, error.detail)


def _faults_of_meaning(value: Mapping[str, Any]) -> Iterator[FieldError]:
    roles = {each["name"] for each in value["roles"]}
    groups = {each["name"] for each in value["groups"]}
    quarantine = value["quarantine_role"]
    if quarantine is not None and quarantine not in roles:
        yield _fault("/quarantine_role", "unknown-role", f"There is no role {quarantine} below: add it, or write null.")
    yield from _faults_of_groups(value["groups"])
    bindings = [*map(binding_from_json, value["bindings"])]
    yield from own_rules_faults([each["name"] for each in value["roles"]], bindings, quarantine)
    yield from _twice(value["roles"], "/roles", lambda role: role["name"], "There is a role of this name above")
    for number, role in enumerate(value["roles"]):
        yield from _faults_of_role(role, f"/roles/{number}")
    yield from _twice(value["bindings"], "/bindings", _place, "This binding stands above already")
    for number, binding in enumerate(bindings):
        place = f"/bindings/{number}"
        if binding.role not in roles:
            yield _fault(f"{place}/role", "unknown-role", f"There is no role {binding.role} in roles: add it.")
        if binding.via is BindingVia.GROUP and binding.target not in groups:
            yield _fault(f"{place}/group", "unknown-group", "There is no such group in groups: add it.")
        if binding.via is BindingVia.DOMAIN and binding.target != value["domain"]:
            detail = f"A role is given to devices of its own domain only: write {value['domain']}."
            yield _fault(f"{place}/domain", "other-domain", detail)
        if not _is_utf8(binding.target):
            yield _fault(f"{place}/{binding.via}", "invalid-value", "This is no Unicode text: take surrogates out.")


def _faults_of_role(role: Mapping[str, Any], place: str) -> Iterator[FieldError]:
    try:
        check_role(name=role["name"], rules=[_rule(rule) for rule in role["rules"]])
    except InvalidRole as error:
        for fault in error.errors:
            yield _fault(place + fault.pointer, fault.code, fault.detail)
    if not _is_utf8(role.get("description", "")):
        yield _fault(f"{place}/description", "invalid-value", "This is no Unicode text: take surrogates out.")


def _faults_of_groups(groups: Iterable[Mapping[str, Any]]) -> Iterator[FieldError]:
    for number, group in enumerate(groups):
        if fault := name_fault(group["name"]):
            yield _fault(f"/groups/{number}/name", "bad-name", f"The name {fault}.")
        if fault := query_fault(group["query"]) if "query" in group else None:
            yield _fault(f"/groups/{number}/query", BadQuery.code, fault)
    yield from _twice(groups, "/groups", lambda group: group["name"], "There is a group of this name above")


def _twice(
    values: Iterable[Mapping[str, Any]], place: str, key_of: Callable[[Mapping[str, Any]], Hashable], what: str
) -> Iterator[FieldError]:
    seen = set()
    for number, value in enumerate(values):
        key = key_of(value)
        if key in seen:
            yield _fault(f"{place}/{number}", "duplicate", f"{what}: take one of them out.")
        seen.add(key)


def _place(binding: Mapping[str, Any]) -> Place:
    return binding_from_json(binding).place


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _fault(pointer: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, code=code, detail=detail)
