"""/api/v1/policy-changes/ as programs and signed-in operators use it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from console.core.roles import EVERY_SCOPE, ConsoleRole
from console.models import Membership, Operator
from console.services.operators import create_operator, grant_role
from devices.core.policy_json import policy_json
from devices.queries.policy import policy_document
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from tests.cast import NORTH, SOUTH
from tests.devices.api.conftest import Program
from tests.devices.factory import Factory

STOP = {"effect": "deny", "actions": ["publish"], "topic": "${domain}/stop"}
ANY = {"If-Match": "*"}


class Person:
    """An operator who is signed in and calls the API by the console's session."""

    def __init__(self, name: str, role: ConsoleRole) -> None:
        self.operator: Operator = create_operator(username=name, actor=SYSTEM, now=utc_now())
        grant_role(operator=self.operator, domain=NORTH, role=role, actor=SYSTEM, now=utc_now())
        self.client = Client()
        self.client.force_login(self.operator)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method, f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json", headers=headers
        )


@pytest.fixture
def ada(north: Factory) -> Person:
    north.role("pumps")
    return Person("ada", ConsoleRole.OWNER)


@pytest.fixture
def bo(ada: Person) -> Person:
    return Person("bo", ConsoleRole.SECURITY_OFFICER)


@pytest.fixture
def robot(north: Factory, ada: Person) -> Program:
    return Program(north, EVERY_SCOPE)


def wanted(*rules: dict[str, Any]) -> dict[str, Any]:
    document = policy_json(policy_document(domain=NORTH))
    document["roles"][0]["rules"] += rules
    return document


def drafted(person: Person) -> dict[str, Any]:
    answer = person.send("POST", "policy-changes/", {"title": "No stop", "document": wanted(STOP)})
    assert answer.status_code == 201, answer.content
    return answer.json()  # type: ignore[no-any-return]


def approve(person: Person, path: str) -> Any:
    """Approves the version that there is."""
    return person.send("POST", path + "approve/", **{"If-Match": person.send("GET", path).headers["ETag"]})


def ask_for_four_eyes(person: Person) -> Any:
    return person.send("PUT", "domains/north/policy-approval/", {"policy_approval": "other-operator"})


def test_change_goes_from_draft_to_history(ada: Person) -> None:
    change = drafted(ada)
    path = f"policy-changes/{change['id']}/"
    assert (change["state"], change["number"], change["approvals_missing"]) == ("draft", 1, 1)
    assert change["difference"]["roles"]["changed"][0]["name"] == "pumps"
    assert approve(ada, path).json()["state"] == "approved"
    applied = ada.send("POST", path + "apply/")
    assert applied.status_code == 202
    operation = ada.send("GET", f"operations/{applied.json()['operation']}/").json()
    assert operation["action"] == "devices.policy_change.applied"
    assert policy_json(policy_document(domain=NORTH)) == change["document"]
    back = ada.send("POST", path + "roll-back/")
    assert (back.status_code, back.json()["rolls_back"]) == (201, change["id"])
    assert back.json()["document"] == change["base"]


def test_two_who_write_one_draft_meet_if_match(ada: Person, bo: Person) -> None:
    path = f"policy-changes/{drafted(ada)['id']}/"
    tag = ada.send("GET", path).headers["ETag"]
    assert ada.send("PUT", path, {"title": "Mine"}, **{"If-Match": tag}).status_code == 200
    assert ada.send("PUT", path, {"title": "Unread"}).status_code == 428
    late = bo.send("PUT", path, {"title": "Theirs"}, **{"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "version-mismatch")
    assert bo.send("POST", path + "approve/", **{"If-Match": tag}).status_code == 412
    assert ada.send("GET", path).json()["title"] == "Mine"


def test_fault_in_the_document_has_its_place(ada: Person) -> None:
    document = wanted({**STOP, "topic": "a/#/b"})
    answer = ada.send("POST", "policy-changes/", {"title": "Wrong", "document": document})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/roles/0/rules/2/topic"


def test_four_eyes_hold_for_the_author_and_for_the_authors_program(ada: Person, bo: Person, robot: Program) -> None:
    assert ask_for_four_eyes(ada).status_code == 200
    path = f"policy-changes/{drafted(ada)['id']}/"
    own = approve(ada, path)
    assert (own.status_code, own.json()["code"]) == (403, "four-eyes")
    assert robot.post(path + "approve/", **{"If-Match": '"1"'}).json()["code"] == "four-eyes"
    assert approve(bo, path).json()["state"] == "approved"


@pytest.mark.parametrize("how", ["deactivated", "without a role", "an auditor by now", "of another domain"])
def test_approval_of_an_operator_who_is_gone_does_not_count(ada: Person, bo: Person, how: str) -> None:
    ask_for_four_eyes(ada)
    path = f"policy-changes/{drafted(ada)['id']}/"
    assert approve(bo, path).json()["state"] == "approved"
    held = Membership.objects.filter(operator=bo.operator)
    match how:
        case "deactivated":
            Operator.objects.filter(pk=bo.operator.pk).update(is_active=False)
        case "without a role":
            held.delete()
        case "an auditor by now":
            held.update(role=ConsoleRole.AUDITOR)
        case _:
            held.update(domain_id=SOUTH)
    answer = ada.send("POST", path + "apply/")
    assert (answer.status_code, answer.json()["code"]) == (409, "approvals-missing")
    cy = Person("cy", ConsoleRole.OWNER)
    assert approve(cy, path).status_code == 200
    assert ada.send("POST", path + "apply/").status_code == 202


def test_nobody_writes_roles_past_four_eyes(ada: Person, robot: Program) -> None:
    ask_for_four_eyes(ada)
    [role] = ada.send("GET", "roles/").json()["results"]
    for answer in (
        ada.send("POST", "roles/", {"name": "more", "rules": [STOP]}),
        ada.send("PUT", f"roles/{role['id']}/", {"name": "pumps", "rules": [STOP]}, **ANY),
        ada.send("DELETE", f"roles/{role['id']}/"),
        robot.post("bindings/", {"role": "pumps", "target": {"domain": "north"}}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "approval-required")


def test_only_an_owner_in_person_says_whose_eyes_are_needed(ada: Person, bo: Person, robot: Program) -> None:
    assert ask_for_four_eyes(bo).json()["code"] == "insufficient-scope"
    token = robot.client.put(
        "/api/v1/domains/north/policy-approval/",
        json.dumps({"policy_approval": "other-operator"}),
        content_type="application/json",
        headers=robot.headers,
    )
    assert (token.status_code, token.json()["code"]) == (403, "owners-only")
    assert ada.send("GET", "domains/north/policy-approval/").json() == {"policy_approval": "none"}


@pytest.mark.parametrize(("act", "scope"), [("approve", "policy:approve"), ("apply", "policy:apply")])
def test_approving_and_applying_are_rights_of_their_own(north: Factory, ada: Person, act: str, scope: str) -> None:
    program = Program(north, EVERY_SCOPE - {scope})
    answer = program.post(f"policy-changes/{drafted(ada)['id']}/{act}/")
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient-scope")


def test_conflicts_are_named_and_decided_role_by_role(ada: Person) -> None:
    change = drafted(ada)
    path = f"policy-changes/{change['id']}/"
    [role] = ada.send("GET", "roles/").json()["results"]
    rules = [{**STOP, "topic": "elsewhere"}]
    assert ada.send("PUT", f"roles/{role['id']}/", {"name": "pumps", "rules": rules}, **ANY).status_code == 200
    assert approve(ada, path).json()["code"] == "base-moved"
    seen = ada.send("GET", path).json()
    assert (seen["base_moved"], [conflict["name"] for conflict in seen["conflicts"]]) == (True, ["pumps"])
    undecided = ada.send("POST", path + "rebase/")
    assert (undecided.status_code, undecided.json()["errors"][0]["pointer"]) == (409, "/roles/pumps")
    decided = ada.send("POST", path + "rebase/", {"roles": {"pumps": "draft"}}).json()
    assert (decided["base_moved"], decided["conflicts"]) == (False, [])
    assert decided["document"]["roles"] == change["document"]["roles"]


@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}])
def test_approval_says_of_which_version(ada: Person, headers: dict[str, str]) -> None:
    """Else it would hold for what was written after it was read."""
    path = f"policy-changes/{drafted(ada)['id']}/"
    answer = ada.send("POST", path + "approve/", **headers)
    assert (answer.status_code, answer.json()["code"]) == (428, "if-match-required")


def test_list_is_narrowed_by_state(ada: Person) -> None:
    kept, gone = drafted(ada), drafted(ada)
    assert ada.send("POST", f"policy-changes/{gone['id']}/withdraw/", {"note": "twice"}).json()["note"] == "twice"
    found = ada.send("GET", "policy-changes/?state=draft").json()
    assert ([row["id"] for row in found["results"]], found["approximate_count"]) == ([kept["id"]], 1)
    both = ada.send("GET", "policy-changes/?state=draft,withdrawn").json()
    assert [row["id"] for row in both["results"]] == [gone["id"], kept["id"]]
    assert ada.send("GET", "policy-changes/?state=lost").status_code == 400


def test_effect_is_told_before_anything_is_done(ada: Person) -> None:
    found = ada.send("GET", f"policy-changes/{drafted(ada)['id']}/effect/").json()
    assert found == {
        "concerned": 0,
        "examined": 0,
        "touched": 0,
        "cohorts": [],
        "more_cohorts": 0,
        "brokers": [],
    }
