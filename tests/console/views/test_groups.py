"""The screens of groups: made, filled, asked while a query is typed, and changed at once or in a draft."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from devices import queries
from devices.core.policy_changes import ApprovalRule
from devices.core.values import Device
from devices.core.windows import Window
from devices.queries import DeviceFilter, GroupRow
from devices.services.bindings import BindingTarget, bind_role
from devices.services.groups import create_group
from devices.services.policy_changes import set_policy_approval
from tests.cast import ADA
from tests.console.views.scene import Scene


def group(scene: Scene, name: str) -> GroupRow:
    return next(row for row in queries.list_groups(domains=[scene.domain]) if row.name == name)


def members(scene: Scene, name: str) -> list[Device]:
    return list(queries.list_devices(domains=[scene.domain], narrowed=DeviceFilter(group=name)).devices)


def quay(north: Scene, browser: Client) -> GroupRow:
    answer = browser.post("/groups/_new/", {"name": "quay", "query": 'attr.site=="quay"'})
    made = group(north, "quay")
    assert answer.headers["Location"] == f"/groups/{made.id}/"
    return made


def test_group_by_query_is_made_and_shown(north: Scene, at_ada: Client) -> None:
    made = quay(north, at_ada)
    page = at_ada.get(f"/groups/{made.id}/").content.decode()
    assert "attr.site == &quot;quay&quot;" in page
    found = [device.name for device in members(north, "quay")]
    assert found
    assert all(name in page for name in found)
    assert "Put in" not in page
    assert f"/groups/{made.id}/" in at_ada.get("/groups/").content.decode()


def test_many_groups_have_pages(north: Scene, at_ada: Client) -> None:
    for number in range(26):
        create_group(domain=north.domain, name=f"hall-{number:02}", actor=ADA, now=north.now)
    page = at_ada.get("/groups/").content.decode()
    assert "hall-24" in page
    assert "hall-25" not in page
    assert "Page 1, 25 groups of about 27" in page
    [following] = re.findall(r'href="(\?cursor=[^"]+)"', page)
    rest = at_ada.get("/groups/" + following.replace("&amp;", "&")).content.decode()
    assert "hall-25" in rest
    assert "line-1" in rest
    assert at_ada.get("/groups/?cursor=W10").status_code == 400


def test_role_whose_time_is_over_is_shown_as_such(north: Scene, at_ada: Client) -> None:
    line, hour = group(north, "line-1"), timedelta(hours=1)
    bind_role(
        domain=north.domain,
        role=north.role.id,
        target=BindingTarget(group=line.name),
        window=Window(not_after=north.now - hour),
        actor=ADA,
        now=north.now - 2 * hour,
    )
    page = at_ada.get(f"/groups/{line.id}/").content.decode()
    [given] = re.findall(r"<li><a[^>]*>device-default</a>.*?</li>", page)
    assert "ended" in given
    assert (north.now - hour).strftime("%Y-%m-%d %H:%M") in given


def test_fault_of_a_query_stands_beside_it(north: Scene, at_ada: Client) -> None:
    answer = at_ada.post("/groups/_new/", {"name": "quay", "query": "site == 5"})
    assert "at character 1" in answer.content.decode()
    assert [row.name for row in queries.list_groups(domains=[north.domain])] == ["line-1"]


def test_query_is_tried_while_it_is_typed(north: Scene, at_ada: Client) -> None:
    made = quay(north, at_ada)
    assert "It finds" not in at_ada.get("/groups/_query/", {"query": ""}).content.decode()
    assert "at its end" in at_ada.get("/groups/_query/", {"query": "attr.site =="}).content.decode()
    one = at_ada.get("/groups/_query/", {"query": 'name == "pump-01"'}).content.decode()
    assert "It finds 1 device: pump-01." in one
    moved = at_ada.get("/groups/_query/", {"query": 'name == "pump-01"', "group": str(made.id)}).content.decode()
    assert "1 join: pump-01." in moved
    assert f"{made.member_count} leave: " in moved
    assert at_ada.get("/groups/_query/", {"query": "", "group": "x"}).status_code == 400


def test_query_is_changed_at_once_and_not_from_an_old_page(north: Scene, at_ada: Client) -> None:
    made = quay(north, at_ada)
    page = at_ada.get(f"/groups/{made.id}/query/")
    tag = page.context["form"].initial["tag"]
    address = f"/groups/{made.id}/query/"
    answer = at_ada.post(address, {"query": 'name == "pump-01"', "tag": tag})
    assert answer.headers["Location"] == f"/groups/{made.id}/"
    assert [device.name for device in members(north, "quay")] == ["pump-01"]
    late = at_ada.post(address, {"query": 'name == "pump-02"', "tag": tag})
    assert "changed since you read it" in late.content.decode()


def test_query_is_changed_in_a_draft_where_four_eyes_are_asked_for(north: Scene, at_ada: Client) -> None:
    made = quay(north, at_ada)
    set_policy_approval(domain=north.domain, rule=ApprovalRule.OTHER_OPERATOR, actor=ADA, now=north.now)
    address = f"/groups/{made.id}/query/"
    assert "make a draft" in at_ada.post(address, {"query": 'name == "pump-01"'}).content.decode()
    answer = at_ada.post(address, {"query": 'name == "pump-01"', "draft": "1"})
    page = at_ada.get(answer.headers["Location"]).content.decode()
    assert "Who is in quay" in page
    assert "name == &quot;pump-01&quot;" in page
    assert group(north, "quay").query == made.query


def test_chosen_members_come_and_go(north: Scene, at_ada: Client) -> None:
    line = group(north, "line-1")
    pump = north.devices["pump-05"]
    address = f"/groups/{line.id}/"
    assert "There is no device" in at_ada.post(f"{address}add/", {"name": "nobody"}).content.decode()
    assert at_ada.post(f"{address}add/", {"name": "pump-05"}).status_code == 302
    assert "pump-05" in {device.name for device in members(north, "line-1")}
    assert at_ada.post(f"{address}{pump}/remove/").status_code == 302
    assert "pump-05" not in {device.name for device in members(north, "line-1")}
    made = quay(north, at_ada)
    assert (
        "found by its query"
        in at_ada.post(f"/groups/{made.id}/add/", {"name": "pump-05"}, follow=True).content.decode()
    )


@pytest.mark.parametrize("path", ["", "query/", "add/", "00000000-0000-7000-8000-000000000000/remove/"])
def test_group_of_another_domain_is_not_there(north: Scene, at_cy: Client, path: str) -> None:
    address = f"/groups/{group(north, 'line-1').id}/{path}"
    assert (at_cy.get(address) if path in ("", "query/") else at_cy.post(address)).status_code == 404
    asked = at_cy.get("/groups/_query/", {"query": 'name == "a"', "group": str(group(north, "line-1").id)})
    assert asked.status_code == 404


def test_reader_changes_nothing(north: Scene, at_bo: Client) -> None:
    line = group(north, "line-1")
    assert at_bo.get(f"/groups/{line.id}/").status_code == 200
    for path in ("_new/", f"{line.id}/query/", f"{line.id}/add/"):
        assert at_bo.post(f"/groups/{path}", {"name": "x", "query": 'name == "x"'}).status_code == 403
