"""The fleet over the API, for ada who writes, bo who reads, and cy who must see nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from devices import queries, services
from devices.core.values import DeviceState
from devices.models import Device
from kernel.core import cursor
from kernel.core.ids import new_id
from kernel.queries import list_entries
from pki import queries as pki
from pki.core.values import CertificateState
from tests.cast import ADA
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory
from tests.devices.jws import b64url


def test_list_is_paged_and_filtered(north: Factory, ada: Program, cy: Program) -> None:
    for number in range(5):
        north.register(f"pump-{number}", attributes={"site": "north" if number % 2 else "south"})
    first = ada.get("devices/", limit=2).json()
    second = ada.get("devices/", limit=2, cursor=first["next"]).json()
    third = ada.get("devices/", limit=2, cursor=second["next"]).json()
    told = [device["name"] for page in (first, second, third) for device in page["results"]]
    assert told == [f"pump-{number}" for number in range(5)]
    assert (third["next"], first["approximate_count"]) == (None, 5)
    filtered = ada.get("devices/", **{"attr.site": "north", "state": "pre-registered"}).json()
    assert [device["name"] for device in filtered["results"]] == ["pump-1", "pump-3"]
    assert filtered["approximate_count"] == 2
    assert ada.get("devices/", state="active").json()["results"] == []
    assert cy.get("devices/").json() == {"results": [], "next": None, "approximate_count": 0}


def test_prefix_of_names_is_called_q_or_name(north: Factory, ada: Program) -> None:
    for name in ("pump-1", "valve-1"):
        north.register(name)
    for parameter in ("q", "name"):
        assert [each["name"] for each in ada.get("devices/", **{parameter: "val"}).json()["results"]] == ["valve-1"]


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", ""])
def test_limit_without_sense_is_400(ada: Program, limit: str) -> None:
    assert ada.get("devices/", limit=limit).status_code == 400


PLACE = "01930000-0000-7000-8000-00000000000a"


@pytest.mark.parametrize(
    "place",
    [
        "x",
        "{}",
        "[]",
        "[1]",
        '["a","x"]',
        '["a",5]',
        f'["a\\u0000","{PLACE}"]',
        f'["\\ud800","{PLACE}"]',
    ],
)
def test_cursor_that_is_none_is_400(ada: Program, place: str) -> None:
    problem(ada.get("devices/", cursor=b64url(place.encode())), 400, "invalid-cursor")


def test_device_is_registered_and_shown(ada: Program) -> None:
    body = {"name": "pump-1", "device_type": "pump", "hardware_serial": "SN", "attributes": {"site": "hall"}}
    made = ada.post("devices/", body)
    assert made.status_code == 201
    shown = ada.get(f"devices/{made.json()['id']}/").json()
    assert shown == made.json()
    assert {name: shown[name] for name in body} == body
    assert (shown["state"], shown["domain"], shown["groups"], shown["enrolled_at"]) == (
        "pre-registered",
        "north",
        [],
        None,
    )
    problem(ada.post("devices/", body), 409, "name-taken")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "a/b"}, "bad-name"),
        ({"name": "x" * 65}, "bad-name"),
        ({"name": None}, "invalid"),
        ({"device_type": "none"}, "device-type-unknown"),
        ({"attributes": {"colour": "red"}}, "bad-attributes"),
        ({"hardware_serial": "x" * 129}, "bad-serial"),
        ({"domain": "south"}, "not-found"),
        ({"colour": "red"}, "invalid"),
    ],
)
def test_bad_device_is_not_registered(ada: Program, south: Factory, change: dict[str, Any], code: str) -> None:
    answer = ada.post("devices/", {"name": "pump-1", "device_type": "pump", **change})
    problem(answer, answer.status_code, code)
    assert answer.status_code in {400, 404}
    assert not Device.objects.exists()


def test_life_of_a_device(north: Factory, ada: Program) -> None:
    device = north.device()
    for verb, state in (
        ("suspend", "suspended"),
        ("resume", "active"),
        ("quarantine", "quarantined"),
        ("resume", "active"),
        ("decommission", "decommissioned"),
    ):
        for _ in range(2):
            answer = ada.post(f"devices/{device}/{verb}/", {"note": "because"})
            assert answer.status_code == 202, answer.content
            entry = list_entries(subject_kind="devices.device", subject_id=str(device), limit=1)[0]
            assert (answer.json(), entry.note) == ({"operation": str(entry.id)}, "because")
        assert ada.get(f"devices/{device}/").json()["state"] == state
    problem(ada.post(f"devices/{device}/resume/"), 409, "device-state")


def test_revocation_answers_with_its_operation(north: Factory, ada: Program) -> None:
    device = north.device()
    for _ in range(2):
        answer = ada.post(f"devices/{device}/revoke/", {"reason": "keyCompromise", "note": "stolen"})
        assert answer.status_code == 202
        operation = ada.get(f"operations/{answer.json()['operation']}/").json()
        assert {"ocsp", "crl:north-ca"} <= {step["target"] for step in operation["steps"]}
    [certificate] = pki.certificates_of(holder=f"device:{device}")
    assert (certificate.state, certificate.reason) == (CertificateState.REVOKED, "keyCompromise")
    [credential] = ada.get(f"devices/{device}/credentials/").json()["results"]
    assert (credential["state"], credential["serial_number"]) == ("revoked", certificate.serial_hex)


@pytest.mark.parametrize("reason", ["certificateHold", "removeFromCRL", "nonsense", "", None, 5])
def test_reason_that_is_none_is_400(north: Factory, ada: Program, reason: Any) -> None:
    device = north.device()
    assert ada.post(f"devices/{device}/revoke/", {"reason": reason}).status_code == 400
    assert queries.get_device(device=device).state is DeviceState.ACTIVE


def test_permissions_are_the_rules_as_they_are_for_the_device(north: Factory, ada: Program) -> None:
    device, role = north.device("pump-1"), north.role()
    bound = ada.post("bindings/", {"role": role.name, "target": {"device": str(device)}})
    assert bound.status_code == 201
    found = ada.get(f"devices/{device}/permissions/").json()["results"]
    assert {each["topic"] for each in found} == {"north/pump-1/up/#", "north/pump-1/down/#"}
    assert ada.delete(f"bindings/{bound.json()['id']}/").status_code == 204
    assert ada.delete(f"bindings/{bound.json()['id']}/").status_code == 404
    assert ada.get(f"devices/{device}/permissions/").json()["results"] == []


def test_role_is_bound_by_name_or_id_to_each_kind_of_target(north: Factory, ada: Program) -> None:
    device, role = north.device(), north.role()
    ada.post("groups/", {"name": "hall", "members": [str(device)]})
    targets = ({"device": str(device)}, {"group": "hall"}, {"device_type": "pump"}, {"domain": "north"})
    for number, target in enumerate(targets):
        answer = ada.post("bindings/", {"role": role.name if number % 2 else str(role.id), "target": target})
        assert answer.status_code == 201, answer.content
        assert answer.json()["target"] == target
        problem(ada.post("bindings/", {"role": role.name, "target": target}), 409, "already-bound")
    listed = ada.get("bindings/").json()["results"]
    assert sorted(str(each["target"]) for each in listed) == sorted(map(str, targets))
    assert len(ada.get(f"devices/{device}/permissions/").json()["results"]) == 2 * len(targets)


def test_bindings_come_in_pages_in_a_fixed_number_of_queries(
    north: Factory, ada: Program, django_assert_max_num_queries: Any
) -> None:
    role = north.role()
    for number in range(5):
        device = north.register(f"pump-{number}").id
        assert ada.post("bindings/", {"role": role.name, "target": {"device": str(device)}}).status_code == 201
    found: list[str] = []
    place: str | None = None
    for size in (2, 2, 1):
        with django_assert_max_num_queries(12):
            answer = ada.get("bindings/", limit=2, **({"cursor": place} if place else {})).json()
        assert (len(answer["results"]), answer["approximate_count"]) == (size, 5)
        found, place = [*found, *(each["id"] for each in answer["results"])], answer["next"]
    assert (len(set(found)), place) == (5, None)
    for bad in (cursor.encode([5]), cursor.encode(["x"]), cursor.encode([]), "x"):
        problem(ada.get("bindings/", cursor=bad), 400, "invalid-cursor")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role": "pumps", "target": {}}, 400),
        ({"role": "pumps", "target": {"group": "hall", "domain": "north"}}, 400),
        ({"role": "pumps", "target": {"planet": "earth"}}, 400),
        ({"role": "pumps", "target": "north"}, 400),
        ({"role": "pumps", "target": {"device": "x"}}, 400),
        ({"role": "pumps", "target": {"device": str(new_id())}}, 404),
        ({"role": "pumps", "target": {"group": "none"}}, 404),
        ({"role": "none", "target": {"domain": "north"}}, 404),
        ({"role": "pumps", "target": {"domain": "south"}}, 404),
        ({"target": {"domain": "north"}}, 400),
    ],
)
def test_bad_binding_is_not_made(north: Factory, ada: Program, body: dict[str, Any], status: int) -> None:
    north.role("pumps")
    answer = ada.post("bindings/", body)
    assert answer.status_code == status, answer.content
    assert answer.json()["detail"]
    assert queries.list_bindings(domains=[north.domain]) == []


def test_groups_have_members(north: Factory, ada: Program) -> None:
    device = str(north.device())
    group = ada.post("groups/", {"name": "hall", "members": [device]})
    assert (group.status_code, group.json()["member_count"]) == (201, 1)
    path = f"groups/{group.json()['id']}/members/"
    assert ada.post(path, {"remove": [device]}).status_code == 204
    assert ada.get("groups/").json()["results"][0]["member_count"] == 0
    assert ada.post(path, {"add": [device]}).status_code == 204
    assert ada.get("devices/", group="hall").json()["approximate_count"] == 1
    problem(ada.post("groups/", {"name": "hall"}), 409, "name-taken")
    problem(ada.post("groups/", {"name": "x", "members": [str(new_id())]}), 404, "device-unknown")


def test_token_is_shown_once(ada: Program) -> None:
    body = {"profile": "default", "max_uses": 100, "expires_in": 3600, "allowed_networks": ["127.0.0.0/8"]}
    made = ada.post("enrolment-tokens/", body)
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    document = made.json()
    secret = document["token"].partition(".")[2]
    listed = ada.get("enrolment-tokens/")
    assert secret not in listed.content.decode()
    [row] = listed.json()["results"]
    assert (row["id"], row["max_uses"], row["uses"], row["allowed_networks"]) == (
        document["id"],
        100,
        0,
        ["127.0.0.0/8"],
    )
    for _ in range(2):
        assert ada.delete(f"enrolment-tokens/{document['id']}/").status_code == 204
    assert ada.get("enrolment-tokens/").json()["results"][0]["revoked_at"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"max_uses": 0}, "/max_uses"),
        ({"max_uses": 10**30}, "/max_uses"),
        ({"expires_in": 0}, "/expires_in"),
        ({"expires_in": 10**30}, "/expires_in"),
        ({"expires_in": "soon"}, "/expires_in"),
        ({"allowed_networks": ["10.0.0.0/99"]}, "/allowed_networks/0"),
        ({"allowed_networks": "10.0.0.0/8"}, "/allowed_networks"),
    ],
)
def test_bad_token_is_400_at_its_place(ada: Program, body: dict[str, Any], pointer: str) -> None:
    answer = ada.post("enrolment-tokens/", {"profile": "default", **body})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_token_of_an_unknown_profile_is_404(ada: Program) -> None:
    problem(ada.post("enrolment-tokens/", {"profile": "none"}), 404, "enrolment-profile-unknown")


def test_types_and_profiles_are_made_and_listed(ada: Program) -> None:
    made = ada.post("device-types/", {"name": "valve", "schema": {"site": {"type": "string", "choices": ["a"]}}})
    assert made.status_code == 201
    assert "valve" in {each["name"] for each in ada.get("device-types/").json()["results"]}
    problem(ada.post("device-types/", {"name": "x", "schema": {"A": {}}}), 400, "bad-attributes")
    made = ada.post("enrolment-profiles/", {"name": "valves", "device_type": "valve", "needs_approval": True})
    assert (made.status_code, made.json()["needs_approval"]) == (201, True)
    assert "valves" in {each["name"] for each in ada.get("enrolment-profiles/").json()["results"]}
    problem(ada.post("enrolment-profiles/", {"name": "x", "device_type": "none"}), 404, "device-type-unknown")


def test_waiting_request_is_seen_and_decided(north: Factory, ada: Program) -> None:
    waiting = north.wait("pump-17", attributes={"site": "vault"})
    [row] = ada.get("enrolment-requests/", state="pending").json()["results"]
    assert (row["id"], row["name"], row["state"]) == (str(waiting.request), "pump-17", "pending")
    assert row["attributes"] == {"site": "vault"}
    for _ in range(2):
        assert ada.post(f"enrolment-requests/{waiting.request}/approve/").status_code == 204
    problem(ada.post(f"enrolment-requests/{waiting.request}/deny/"), 409, "already-decided")
    assert ada.get("devices/").json()["results"][0]["state"] == "active"


def acts(north: Factory) -> list[tuple[str, Any]]:
    """Every change that could be made to something of north."""
    device, role = str(north.device("pump-1")), north.role()
    group = services.create_group(domain=north.domain, name="hall", actor=ADA, now=north.now)
    request = north.wait("pump-2").request
    return [
        *((f"devices/{device}/{verb}/", {}) for verb in ("suspend", "quarantine", "resume", "revoke", "decommission")),
        (f"groups/{group}/members/", {"add": [device]}),
        (f"enrolment-requests/{request}/approve/", {}),
        (f"enrolment-requests/{request}/deny/", {}),
        ("bindings/", {"role": role.name, "target": {"device": device}}),
        ("bindings/", {"role": str(role.id), "target": {"domain": "north"}}),
        ("groups/", {"domain": "north", "name": "g"}),
        ("devices/", {"domain": "north", "name": "x", "device_type": "pump"}),
        ("device-types/", {"domain": "north", "name": "t"}),
        ("enrolment-profiles/", {"domain": "north", "name": "p", "device_type": "pump"}),
        ("enrolment-tokens/", {"domain": "north", "profile": "default"}),
    ]


def test_cy_finds_nothing_of_north_to_change(north: Factory, cy: Program) -> None:
    calls = acts(north)
    before = list_entries(limit=1)[0].seq
    for path, body in calls:
        assert cy.post(path, body).status_code == 404, path
    assert list_entries(limit=1)[0].seq == before


def test_bo_changes_nothing(north: Factory, bo: Program) -> None:
    calls = acts(north)
    before = list_entries(limit=1)[0].seq
    for path, body in calls:
        problem(bo.post(path, body), 403, "insufficient-scope")
    assert list_entries(limit=1)[0].seq == before
    assert bo.get("devices/").json()["approximate_count"] == 2


def test_cy_sees_nothing_of_north(north: Factory, south: Factory, cy: Program) -> None:
    acts(north)
    device = north.device("pump-9")
    for path in ("", "permissions/", "credentials/"):
        problem(cy.get(f"devices/{device}/{path}"), 404, "device-unknown")
    for noun in ("devices", "groups", "bindings", "enrolment-tokens", "enrolment-requests"):
        assert cy.get(f"{noun}/").json()["results"] == [], noun
    for noun in ("domains", "device-types", "enrolment-profiles"):
        told = cy.get(f"{noun}/").json()["results"]
        assert told
        assert {each.get("domain", each.get("slug")) for each in told} == {"south"}
    problem(cy.get("devices/", domain="north"), 404, "not-found")


def test_cy_can_not_put_a_device_of_north_into_a_group(north: Factory, cy: Program) -> None:
    device = north.register().id
    problem(cy.post("groups/", {"name": "g", "members": [str(device)]}), 404, "device-unknown")
