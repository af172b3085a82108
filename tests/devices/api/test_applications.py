"""Applications that connect to brokers, over the API: registered, certified, bound, thrown out."""

from __future__ import annotations

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from console.core.roles import EVERY_SCOPE
from devices.models import Device
from kernel.queries import find_operation
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory
from tests.devices.openssl import openssl

NOUN = "broker-applications/"
ALL_UP = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/+/up/#")


@pytest.fixture
def application(north: Factory, ada: Program) -> str:
    answer = ada.post(NOUN, {"name": "dashboards"})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def state(ada: Program, application: str) -> str:
    return str(ada.get(f"{NOUN}{application}/").json()["state"])


def test_application_gets_a_certificate_and_a_role_and_is_explained(
    north: Factory, ada: Program, application: str
) -> None:
    key = north.workshop.key()
    given = ada.post(f"{NOUN}{application}/credentials/", {"csr": key.csr("whatever")})
    assert given.status_code == 201, given.content
    assert given.headers["Cache-Control"] == "no-store"
    answer = given.json()
    assert (answer["application"], answer["auth_id"], "device" in answer) == (application, "dashboards", False)
    assert openssl("x509", "-noout", "-pubkey", given=answer["certificate"].encode()) == key.public
    assert state(ada, application) == "active"
    [credential] = ada.get(f"{NOUN}{application}/credentials/").json()["results"]
    assert (credential["state"], credential["issuer"]) == ("active", "north-ca")
    north.role("readers", ALL_UP)
    bound = ada.post("bindings/", {"role": "readers", "target": {"application": application}})
    assert bound.status_code == 201, bound.content
    [binding] = ada.get("bindings/").json()["results"]
    assert binding["target"] == {"application": application}
    [permission] = ada.get(f"{NOUN}{application}/permissions/").json()["results"]
    assert permission == {"effect": "allow", "actions": ["subscribe"], "topic": "north/+/up/#"}
    asked = {"application": application, "action": "subscribe", "topic": "north/+/up/#"}
    told = ada.post("policy/explain/", asked).json()
    assert told["verdict"] == "allow"
    assert told["principal"] == {"kind": "application", "id": application, "name": "dashboards"}
    assert told["binding"]["via"] == "application"
    may = ada.post("policy/who-can/", {"action": "subscribe", "topic": "north/+/up/#"}).json()
    assert may["devices"] == {"approximate_count": 1, "sample": [application]}
    assert may["applications"] == [application]


def test_it_is_told_apart_from_devices_everywhere(north: Factory, ada: Program, application: str) -> None:
    device = str(north.register("pump-17").id)
    assert [each["id"] for each in ada.get(NOUN).json()["results"]] == [application]
    assert [each["id"] for each in ada.get("devices/").json()["results"]] == [device]
    assert (ada.get(NOUN).json()["approximate_count"], ada.get("devices/").json()["approximate_count"]) == (1, 1)
    for path in (f"devices/{application}/", f"{NOUN}{device}/"):
        assert ada.get(path).status_code == 404
        assert ada.post(f"{path}suspend/").status_code == 404
        assert ada.post(f"{path}revoke/").status_code == 404
    assert ada.post(f"{NOUN}{device}/credentials/", {"csr": north.workshop.csr()}).status_code == 404
    role = north.role().name
    assert ada.post("bindings/", {"role": role, "target": {"device": application}}).status_code == 404
    assert ada.post("bindings/", {"role": role, "target": {"application": device}}).status_code == 404
    question = {"action": "publish", "topic": "a"}
    assert ada.post("policy/explain/", {**question, "device": application}).status_code == 404
    assert ada.post("policy/explain/", {**question, "application": device}).status_code == 404
    assert ada.post("policy/explain/", {**question, "application": device, "device": device}).status_code == 400


def test_list_is_paged_and_filtered(north: Factory, ada: Program, cy: Program) -> None:
    for number in range(3):
        ada.post(NOUN, {"name": f"app-{number}"})
    first = ada.get(NOUN, limit=2).json()
    second = ada.get(NOUN, limit=2, cursor=first["next"]).json()
    assert [each["name"] for page in (first, second) for each in page["results"]] == ["app-0", "app-1", "app-2"]
    assert second["next"] is None
    assert [each["name"] for each in ada.get(NOUN, name="app-1").json()["results"]] == ["app-1"]
    assert ada.get(NOUN, state="active").json()["results"] == []
    assert cy.get(NOUN).json() == {"results": [], "next": None, "approximate_count": 0}


def test_life_from_suspended_to_gone(north: Factory, ada: Program, application: str) -> None:
    ada.post(f"{NOUN}{application}/credentials/", {"csr": north.workshop.csr()})
    for act, after in (
        ("suspend", "suspended"),
        ("resume", "active"),
        ("quarantine", "quarantined"),
        ("revoke", "revoked"),
        ("decommission", "decommissioned"),
    ):
        answer = ada.post(f"{NOUN}{application}/{act}/", {"note": "for a test"})
        assert answer.status_code == 202, answer.content
        assert find_operation(operation=answer.json()["operation"]) is not None
        assert state(ada, application) == after
    problem(ada.post(f"{NOUN}{application}/resume/"), 409, "device-state")


def test_whoever_may_revoke_may_throw_out_and_not_let_in(north: Factory, ada: Program, application: str) -> None:
    ada.post(f"{NOUN}{application}/credentials/", {"csr": north.workshop.csr()})
    guard = Program(north, frozenset({"certificates:revoke"}))
    factory = Program(north, EVERY_SCOPE - {"certificates:revoke", "broker-applications:write"})
    for act in ("suspend", "quarantine", "revoke", "decommission"):
        assert factory.post(f"{NOUN}{application}/{act}/").status_code == 403
    assert factory.post(f"{NOUN}{application}/credentials/", {"csr": north.workshop.csr()}).status_code == 403
    assert guard.post(f"{NOUN}{application}/suspend/").status_code == 202
    assert guard.post(f"{NOUN}{application}/resume/").status_code == 403
    assert guard.post(NOUN, {"name": "another"}).status_code == 403


def test_bad_application_is_400_and_nothing_is_kept(north: Factory, ada: Program) -> None:
    for body in ("{}", '{"name": ""}', '{"name": "a/b"}', '{"name": "x", "device_type": "pump"}', "[]", "{"):
        assert ada.post(NOUN, body).status_code == 400, body
    assert not Device.objects.exists()


def test_bad_request_for_a_certificate_is_400(ada: Program, application: str) -> None:
    for csr in ("", "nonsense", "x" * 70_000):
        assert ada.post(f"{NOUN}{application}/credentials/", {"csr": csr}).status_code == 400
    assert state(ada, application) == "pre-registered"
