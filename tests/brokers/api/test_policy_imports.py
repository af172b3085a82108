"""The policy of a domain as a document over the API, out and in."""

from __future__ import annotations

import json

import pytest
import yaml
from django.test import Client
from jsonschema import Draft202012Validator

from devices.queries.policy import policy_document
from devices.queries.policy_changes import list_changes
from kernel.core.clock import utc_now
from tests.brokers.api.conftest import Api, Caller
from tests.cast import NORTH, SOUTH
from tests.devices.bare import Bare

pytestmark = pytest.mark.django_db
EVERYTHING = ("policy:read", "policy:write")


@pytest.fixture
def north(db: None) -> Bare:
    return Bare(NORTH, "north", utc_now())


@pytest.fixture
def mill(north: Bare, caller: Caller) -> Api:
    return caller(NORTH, EVERYTHING)


def exported(api: Api, accept: str = "application/yaml") -> tuple[str, str]:
    """(the text, its ETag)."""
    answer = api.client.get("/api/v1/domains/north/policy/", headers={**api.headers, "Accept": accept})
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"].startswith(accept)
    return answer.content.decode(), answer.headers["ETag"]


def test_document_is_given_as_json_and_as_yaml_and_is_valid(north: Bare, mill: Api) -> None:
    north.role("pumps")
    schema = json.loads(Client().get("/api/v1/policy/schema/").content)
    as_json, tag = exported(mill, "application/json")
    as_yaml, same = exported(mill)
    Draft202012Validator(schema).validate(json.loads(as_json))
    assert yaml.safe_load(as_yaml) == json.loads(as_json)
    assert tag == same
    north.role("valves")
    assert exported(mill)[1] != tag


def test_schema_is_open_to_all() -> None:
    answer = Client().get("/api/v1/policy/schema/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/schema+json")


def test_fault_is_a_problem_to_who_wants_yaml_too(mill: Api) -> None:
    answer = mill.client.get("/api/v1/domains/south/policy/", headers={**mill.headers, "Accept": "application/yaml"})
    assert answer.status_code == 404
    assert json.loads(answer.content)["code"] == "not-found"


def test_plan_of_an_import_changes_nothing(north: Bare, mill: Api) -> None:
    text = exported(mill)[0].replace("roles: []", "roles:\n- {name: new, rules: []}")
    answer = mill.post("policy/import-plan/", {"text": text})
    assert answer.status_code == 200, answer.content
    assert answer.json()["difference"]["roles"]["added"] == [{"name": "new", "rules": []}]
    assert (answer.json()["change"], answer.json()["not_imported"]) == (None, [])
    assert list_changes(domains=[NORTH]) == []


def test_import_makes_a_draft_unless_nothing_differs(north: Bare, mill: Api) -> None:
    before = exported(mill)[0]
    assert mill.post("policy-imports/", {"text": before, "title": "Same"}).status_code == 200
    text = before.replace("roles: []", "roles:\n- {name: new, rules: []}")
    answer = mill.post("policy-imports/", {"text": text, "title": "From Git"})
    assert answer.status_code == 201, answer.content
    [change] = list_changes(domains=[NORTH])
    assert answer.json()["change"] == {"id": str(change.id), "number": 1, "state": "draft"}
    assert policy_document(domain=NORTH).roles == ()


def test_import_of_an_old_export_is_412(north: Bare, mill: Api) -> None:
    text, tag = exported(mill)
    north.role("meanwhile")
    for headers, status in (({"If-Match": tag}, 412), ({"If-Match": '"7"'}, 412), ({"If-Match": "*"}, 200)):
        answer = mill.client.post(
            "/api/v1/policy/import-plan/",
            {"text": text},
            content_type="application/json",
            headers={**mill.headers, **headers},
        )
        assert answer.status_code == status, answer.content


def test_faults_are_told_with_line_and_pointer(mill: Api) -> None:
    text = exported(mill)[0].replace("roles: []", "roles:\n- {name: new, rulez: []}")
    answer = mill.post("policy/import-plan/", {"text": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-policy-document")
    faults = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
    assert faults["/roles/0/rulez"].startswith("Line 6: ")


def test_foreign_file_is_added_and_what_is_not_in_it_is_listed(north: Bare, mill: Api) -> None:
    north.role("kept")
    body = {"format": "mosquitto-acl", "text": "topic read x\nuser gone\ntopic read a\n", "prefix": "old-"}
    answer = mill.post("policy/import-plan/", body).json()
    assert [role["name"] for role in answer["difference"]["roles"]["added"]] == ["old-gone"]
    assert answer["difference"]["roles"]["removed"] == []
    assert [(note["place"], note["loss"]) for note in answer["not_imported"]] == [
        ("line 1", "left-out"),
        ("line 3", "left-out"),
    ]


def test_nobody_imports_into_a_domain_that_is_not_theirs(north: Bare, caller: Caller) -> None:
    Bare(SOUTH, "south", utc_now())
    stranger = caller(SOUTH, EVERYTHING)
    text = "gatehouse_policy: 1\ndomain: north\nquarantine_role: null\ngroups: []\nroles: []\nbindings: []\n"
    for body in ({"text": text}, {"text": text, "domain": "north"}):
        assert stranger.post("policy/import-plan/", body).status_code == 404
    assert stranger.post("policy/import-plan/", {"text": text, "domain": "south"}).status_code == 400
    foreign = {"format": "mosquitto-acl", "text": "user a\ntopic a\n", "domain": "north"}
    assert stranger.post("policy/import-plan/", foreign).status_code == 404


def test_scopes_are_needed(north: Bare, caller: Caller) -> None:
    reader = caller(NORTH, ["policy:read"])
    assert reader.post("policy-imports/", {"text": "a", "title": "b"}).status_code == 403
    assert caller(NORTH, ["roles:read"]).get("domains/north/policy/").status_code == 403
