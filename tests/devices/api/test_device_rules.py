"""A device's own rules over the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.core.roles import EVERY_SCOPE
from devices.core.policy_changes import ApprovalRule
from devices.core.values import DeviceId
from devices.services.policy_changes import set_policy_approval
from kernel.core.ids import new_id
from tests.cast import ADA
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory

ALARM = {"effect": "allow", "actions": ["publish"], "topic": "alarm/${client_id}"}
STOP = {"effect": "deny", "actions": ["subscribe"], "topic": "${domain}/stop", "qos": [0], "shared": "never"}


@pytest.fixture
def device(north: Factory) -> DeviceId:
    return north.register("pump-17").id


def put(program: Program, device: object, body: Any, match: str = "*") -> Any:
    headers = {**program.headers, **({"If-Match": match} if match else {})}
    given = json.dumps(body)
    return program.client.put(
        f"/api/v1/devices/{device}/rules/", given, content_type="application/json", headers=headers
    )


def test_rules_are_put_read_and_taken_away(ada: Program, bo: Program, device: DeviceId) -> None:
    before = ada.get(f"devices/{device}/rules/")
    assert before.json() == {"rules": []}
    done = put(ada, device, {"rules": [ALARM, STOP]}, before["ETag"])
    found = bo.get(f"devices/{device}/rules/")
    assert done.status_code == found.status_code == 200
    assert (done.json(), done["ETag"]) == (found.json(), found["ETag"])
    first, second = found.json()["rules"]
    assert ALARM.items() <= first.items()
    assert (second["effect"], second["qos"], second["retain"], second["shared"]) == ("deny", [0], "any", "never")
    assert put(ada, device, {"rules": []}, found["ETag"])["ETag"] == before["ETag"]


def test_who_has_not_seen_the_rules_as_they_are_is_refused(ada: Program, device: DeviceId) -> None:
    old = ada.get(f"devices/{device}/rules/")["ETag"]
    put(ada, device, {"rules": [ALARM]})
    for match in (old, '"1"', "nonsense", f"W/{old}"):
        problem(put(ada, device, {"rules": []}, match), 412, "version-mismatch")
    problem(put(ada, device, {"rules": []}, ""), 428, "if-match-required")
    assert len(ada.get(f"devices/{device}/rules/").json()["rules"]) == 1


def test_nobody_writes_who_may_not_do_both_roles_and_bindings(
    north: Factory, bo: Program, cy: Program, device: DeviceId
) -> None:
    body = {"rules": [ALARM]}
    problem(put(bo, device, body), 403, "insufficient-scope")
    for missing in ("roles:write", "bindings:write"):
        problem(put(Program(north, EVERY_SCOPE - {missing}), device, body), 403, "insufficient-scope")
    problem(put(cy, device, body), 404, "device-unknown")
    problem(cy.get(f"devices/{device}/rules/"), 404, "device-unknown")
    assert bo.get(f"devices/{device}/rules/").json() == {"rules": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rules": [{**ALARM, "topic": "a/#/b"}]},
        {"rules": [ALARM, ALARM]},
        {"rules": [ALARM], "name": "x"},
        {"rules": [{**ALARM, "role": "x"}]},
        {"rules": [{**ALARM, "topic": "${nobody}"}]},
        {"rules": [{**ALARM, "topic": f"a/{n}"} for n in range(501)]},
    ],
)
def test_what_no_role_may_hold_is_400(ada: Program, device: DeviceId, body: Any) -> None:
    assert put(ada, device, body).status_code == 400
    assert ada.get(f"devices/{device}/rules/").json() == {"rules": []}


def test_they_are_no_role_among_roles(north: Factory, ada: Program, device: DeviceId) -> None:
    put(ada, device, {"rules": [ALARM]})
    assert ada.get("roles/").json() == {"results": [], "next": None, "approximate_count": 0}
    assert ada.get("roles/", name="@pump-17").json()["results"] == []
    [binding] = ada.get("bindings/").json()["results"]
    assert (binding["role"], binding["target"]["device"]) == ("@pump-17", str(device))
    problem(ada.delete(f"bindings/{binding['id']}/"), 409, "own-rules")
    problem(ada.post("bindings/", {"role": "@pump-17", "target": {"domain": "north"}}), 409, "own-rules")
    problem(ada.post("roles/", {"name": "@pump-18", "rules": [ALARM]}), 409, "own-rules")
    other = north.register("pump-18").id
    problem(ada.post("bindings/", {"role": "@pump-17", "target": {"device": str(other)}}), 409, "own-rules")


def test_where_policy_is_approved_they_are_not_put(north: Factory, ada: Program, device: DeviceId) -> None:
    rule = ApprovalRule.OTHER_OPERATOR
    set_policy_approval(domain=north.domain, rule=rule, actor=ADA, now=north.now)
    problem(put(ada, device, {"rules": [ALARM]}), 403, "approval-required")
    problem(put(ada, new_id(), {"rules": [ALARM]}), 404, "device-unknown")
