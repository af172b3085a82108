"""Groups by query and attributes over the API."""

from __future__ import annotations

import pytest

from console.core.roles import EVERY_SCOPE
from devices import queries
from devices.services.groups import GroupKind
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory

NORTHERN = 'attr.site == "north"'


def test_group_by_query_is_made_read_and_changed(north: Factory, ada: Program) -> None:
    north.register("pump-1", attributes={"site": "north"})
    north.register("pump-2", attributes={"site": "quay"})
    made = ada.post("groups/", {"name": "north", "query": 'attr.site=="north"'})
    assert made.status_code == 201
    group = made.json()
    assert (group["query"], group["member_count"]) == (NORTHERN, 1)
    path = f"groups/{group['id']}/"
    read = ada.get(path)
    assert read.json() == group
    tag = read.headers["ETag"]
    changed = ada.patch(path, {"query": 'attr.site in ["north", "quay"]'}, **{"If-Match": tag})
    assert (changed.status_code, changed.json()["member_count"]) == (200, 2)
    problem(ada.patch(path, {"query": NORTHERN}, **{"If-Match": tag}), 412, "version-mismatch")
    problem(ada.patch(path, {"query": NORTHERN}, **{"If-Match": '"1"'}), 412, "version-mismatch")
    assert ada.get("groups/").json()["results"][0]["member_count"] == 2


def test_groups_are_listed_page_by_page(north: Factory, ada: Program, cy: Program) -> None:
    for name in ("c", "a", "b"):
        ada.post("groups/", {"name": name})
    first = ada.get("groups/", limit=2).json()
    assert ([group["name"] for group in first["results"]], first["approximate_count"]) == (["a", "b"], 3)
    second = ada.get("groups/", limit=2, cursor=first["next"]).json()
    assert ([group["name"] for group in second["results"]], second["next"]) == (["c"], None)
    assert cy.get("groups/").json()["results"] == []
    for wrong in ("x", "W10", "WyIgIiwgIjEiXQ"):
        problem(ada.get("groups/", cursor=wrong), 400, "invalid-cursor")


def test_bad_query_is_told_with_its_place(north: Factory, ada: Program) -> None:
    document = problem(ada.post("groups/", {"name": "north", "query": "attr.site == north"}), 400, "bad-group-query")
    assert document["errors"] == [
        {
            "pointer": "/query",
            "code": "bad-group-query",
            "detail": 'The query is wrong at character 14: expected a value: "text", a number, true or false.',
        }
    ]
    assert ada.post("groups/", {"name": "north", "query": "x" * 2_001}).status_code == 400
    assert queries.list_groups(domains=[north.domain]) == []


def test_preview_makes_nothing(north: Factory, ada: Program, bo: Program, cy: Program) -> None:
    north.register("pump-1", attributes={"site": "north"})
    for program in (ada, bo):
        found = program.post("groups/preview/", {"query": 'attr.site=="north"'})
        assert found.json() == {"query": NORTHERN, "approximate_count": 1, "sample": ["pump-1"]}
    assert cy.post("groups/preview/", {"query": NORTHERN}).json()["approximate_count"] == 0
    sees_no_devices = Program(north, EVERY_SCOPE - {"devices:read"})
    problem(sees_no_devices.post("groups/preview/", {"query": NORTHERN}), 403, "insufficient-scope")
    assert queries.list_groups(domains=[north.domain]) == []


def test_members_of_a_group_by_query_are_not_chosen(north: Factory, ada: Program) -> None:
    pump = str(north.register("pump-1").id)
    group = ada.post("groups/", {"name": "north", "query": NORTHERN}).json()["id"]
    problem(ada.post(f"groups/{group}/members/", {"add": [pump]}), 409, GroupKind.code)
    problem(ada.post("groups/", {"name": "both", "query": NORTHERN, "members": [pump]}), 400, GroupKind.code)
    chosen = ada.post("groups/", {"name": "hall", "members": [pump]}).json()
    assert chosen["query"] is None
    problem(ada.patch(f"groups/{chosen['id']}/", {"query": NORTHERN}), 409, GroupKind.code)


def test_attributes_are_merged_and_move_the_device(north: Factory, ada: Program) -> None:
    pump = north.register("pump-1", attributes={"site": "north", "litres": 5})
    ada.post("groups/", {"name": "north", "query": NORTHERN})
    path = f"devices/{pump.id}/"
    read = ada.get(path)
    assert read.json()["groups"] == ["north"]
    tag = read.headers["ETag"]
    changed = ada.patch(path, {"attributes": {"site": "quay", "wet": True}}, **{"If-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["attributes"] == {"site": "quay", "litres": 5, "wet": True}
    assert changed.json()["groups"] == []
    problem(ada.patch(path, {"attributes": {"site": "north"}}, **{"If-Match": tag}), 412, "version-mismatch")
    gone = ada.patch(path, {"attributes": {"litres": None}}, **{"If-Match": changed.headers["ETag"]})
    assert gone.json()["attributes"] == {"site": "quay", "wet": True}


@pytest.mark.parametrize("body", [{"attributes": {"site": 5}}, {"attributes": {"x": "y"}}, {"name": "x"}, {}, []])
def test_what_does_not_fit_changes_nothing(north: Factory, ada: Program, body: object) -> None:
    pump = north.register("pump-1", attributes={"site": "north"})
    assert ada.patch(f"devices/{pump.id}/", body).status_code == 400
    assert queries.get_device(device=pump.id).attributes == {"site": "north"}
