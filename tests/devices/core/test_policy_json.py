"""Policy documents as JSON: the published schema, and what it can not say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from devices.core.policy_document import BindingVia
from devices.core.policy_json import InvalidPolicy, policy_from_json, policy_json, schema_text

RULE = {"effect": "allow", "actions": ["publish"], "topic": "${client_id}/up/#"}


def document(**changes: Any) -> dict[str, Any]:
    return {
        "gatehouse_policy": 1,
        "domain": "north",
        "quarantine_role": None,
        "groups": [{"name": "hall"}],
        "roles": [{"name": "pumps", "rules": [dict(RULE)]}],
        "bindings": [{"role": "pumps", "group": "hall"}],
        **changes,
    }


def described(text: str) -> dict[str, Any]:
    return document(roles=[{"name": "pumps", "description": text, "rules": []}])


def one_role(**changes: Any) -> dict[str, Any]:
    return document(roles=[{"name": "pumps", "rules": [{**RULE, **changes}]}])


def test_schema_is_a_sound_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text()))


def test_every_part_of_the_schema_says_what_stands_there() -> None:
    def undescribed(schema: Any, place: str) -> list[str]:
        found = [place] if not {"description", "$ref"} & set(schema) else []
        inner = {**schema.get("properties", {}), **schema.get("$defs", {})}
        for name, each in inner.items():
            found += undescribed(each, f"{place}/{name}")
        return found + (undescribed(schema["items"], f"{place}/items") if "items" in schema else [])

    assert undescribed(json.loads(schema_text()), "") == []


def test_all_that_a_rule_can_say_is_read_and_written() -> None:
    rules = [
        dict(RULE),
        {"effect": "deny", "actions": ["publish", "subscribe"], "topic": "a/+", "qos": [0, 2], "retain": "only"},
        {"effect": "allow", "actions": ["subscribe"], "topic": "b", "shared": "only", "shared_group": "g"},
        {"effect": "allow", "actions": ["subscribe"], "topic": "b", "shared": "never"},
    ]
    value = document(roles=[{"name": "pumps", "description": "d", "rules": rules}])
    assert policy_json(policy_from_json(value)) == value


def test_bindings_are_read_by_what_they_name() -> None:
    given = [{"role": "pumps", via.value: "north" if via is BindingVia.DOMAIN else "hall"} for via in BindingVia]
    found = policy_from_json(document(bindings=given)).bindings
    assert [(each.via, each.target) for each in found] == [
        ("application", "hall"),
        ("device", "hall"),
        ("device_type", "hall"),
        ("domain", "north"),
        ("group", "hall"),
    ]


@pytest.mark.parametrize(
    ("value", "pointer", "code"),
    [
        ([], "", "invalid-value"),
        ({}, "", "required"),
        (document(gatehouse_policy=2), "/gatehouse_policy", "invalid-value"),
        (document(gatehouse_policy=True), "/gatehouse_policy", "invalid-value"),
        (document(rolls=[]), "/rolls", "unknown-member"),
        (document(**{"a/b~c": 1}), "/a~1b~0c", "unknown-member"),
        (document(domain="North"), "/domain", "invalid-value"),
        (document(quarantine_role="quiet"), "/quarantine_role", "unknown-role"),
        (document(quarantine_role=5), "/quarantine_role", "invalid-value"),
        (document(groups=[{"name": "hall"}, {"name": "hall"}]), "/groups/1", "duplicate"),
        (document(groups=[{"name": "hall"}, {"name": "a/b"}]), "/groups/1/name", "bad-name"),
        (document(roles=[{"name": "pumps"}]), "/roles/0", "required"),
        (document(roles=[{"name": "a b", "rules": []}]), "/roles/0/name", "invalid-value"),
        (document(roles=[{"name": "pumps", "rules": []}] * 2), "/roles/1", "duplicate"),
        (document(roles=[{"name": "pumps", "rules": [RULE, RULE]}]), "/roles/0/rules/1", "duplicate"),
        (document(roles=[{"name": "pumps", "rules": [RULE] * 501}]), "/roles/0/rules", "invalid-value"),
        (
            described("\x00"),
            "/roles/0/description",
            "invalid-value",
        ),
        (
            described("\ud800"),
            "/roles/0/description",
            "invalid-value",
        ),
        (document(bindings=[{"role": "pumps", "device": "\ud800"}]), "/bindings/0/device", "invalid-value"),
        (document(bindings=[{"role": "pumps", "device": "a\x00"}]), "/bindings/0/device", "invalid-value"),
        (document(bindings=[{"role": "valves", "group": "hall"}]), "/bindings/0/role", "unknown-role"),
        (document(bindings=[{"role": "pumps", "group": "yard"}]), "/bindings/0/group", "unknown-group"),
        (document(bindings=[{"role": "pumps", "domain": "south"}]), "/bindings/0/domain", "other-domain"),
        (document(bindings=[{"role": "pumps"}]), "/bindings/0", "invalid-value"),
        (document(bindings=[{"role": "pumps", "group": "hall", "device": "x"}]), "/bindings/0", "invalid-value"),
        (document(bindings=[{"role": "pumps", "group": "hall"}] * 2), "/bindings/1", "duplicate"),
        (one_role(topic="a/#/b"), "/roles/0/rules/0/topic", "invalid-topic"),
        (one_role(topic="${clientid}"), "/roles/0/rules/0/topic", "unknown-placeholder"),
        (one_role(qos=[]), "/roles/0/rules/0/qos", "invalid-value"),
        (one_role(qos=[1, 1]), "/roles/0/rules/0/qos", "invalid-value"),
        (one_role(qos=[True]), "/roles/0/rules/0/qos/0", "invalid-value"),
        (one_role(actions=["publish", "publish"]), "/roles/0/rules/0/actions", "invalid-value"),
        (one_role(actions="publish"), "/roles/0/rules/0/actions", "invalid-value"),
        (one_role(shared="only"), "/roles/0/rules/0/shared", "subscribe-only"),
        (one_role(shared_group="g"), "/roles/0/rules/0/shared_group", "needs-shared-only"),
        (one_role(effect="permit"), "/roles/0/rules/0/effect", "invalid-value"),
        (one_role(retained="only"), "/roles/0/rules/0/retained", "unknown-member"),
    ],
)
def test_fault_is_told_with_its_place(value: Any, pointer: str, code: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        policy_from_json(value)
    assert (pointer, code) in [(fault.pointer, fault.code) for fault in caught.value.errors]
    assert all(fault.detail.endswith(".") for fault in caught.value.errors)


def test_every_fault_is_told_up_to_a_hundred() -> None:
    roles = [{"name": f"r{number}", "rules": [{**RULE, "qos": [7]}]} for number in range(150)]
    with pytest.raises(InvalidPolicy, match="100 or more") as caught:
        policy_from_json(document(roles=roles, bindings=[]))
    assert len({fault.pointer for fault in caught.value.errors}) == 100


def test_long_list_of_mixed_items_is_refused_at_once() -> None:
    items = [{}, "a"] * 100_000  # the library would compare each with each
    with pytest.raises(InvalidPolicy):
        policy_from_json(one_role(actions=items))


def test_missing_list_is_no_empty_list() -> None:
    value = document()
    del value["bindings"]
    with pytest.raises(InvalidPolicy, match="bindings is missing"):
        policy_from_json(value)
