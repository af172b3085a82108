"""Lists: pages by keyset, filters, and addresses that make no sense."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from acl.services import create_role
from tests.cast import ADA
from tests.console.views.scene import Scene


def names(text: str) -> list[str]:
    return re.findall(r'class="name" href="/devices/[^"]+">([^<]+)<', text)


def link(text: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', text)
    assert found, rel
    return "/devices/" + found.group(1).replace("&amp;", "&")


def test_pages_go_on_and_back(north: Scene, at_ada: Client) -> None:
    for number in range(60):
        north.register(f"valve-{number:02}")
    first = at_ada.get("/devices/?name=valve").content.decode()
    second = at_ada.get(link(first, "next")).content.decode()
    third = at_ada.get(link(second, "next")).content.decode()
    assert [len(names(page)) for page in (first, second, third)] == [25, 25, 10]
    assert names(first) + names(second) + names(third) == [f"valve-{number:02}" for number in range(60)]
    assert 'rel="next"' not in third
    assert names(at_ada.get(link(third, "prev")).content.decode()) == names(second)
    back = at_ada.get(link(third, "prev")).content.decode()
    assert names(at_ada.get(link(back, "prev")).content.decode()) == names(first)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("state=suspended", ["pump-05"]),
        ("state=revoked", ["pump-03"]),
        ("name=spare", ["spare-01"]),
        ("group=line-1&name=pump-01", ["pump-01"]),
        ("attribute=floor=2", ["pump-02"]),
        ("attribute=site=north", ["pump-03", "spare-01"]),
        ("type=pump&state=pre-registered", ["spare-01"]),
        ("type=none", []),
    ],
)
def test_filters_narrow(filters: str, expected: list[str], north: Scene, at_ada: Client) -> None:
    assert names(at_ada.get(f"/devices/?{filters}").content.decode()) == expected


@pytest.mark.parametrize("filters", ["state=happy", "attribute=nonsense", "attribute=floor=high", "attribute=a=b"])
def test_filter_that_makes_no_sense_is_told_beside_it(filters: str, north: Scene, at_ada: Client) -> None:
    answer = at_ada.get(f"/devices/?{filters}")
    assert answer.status_code == 200
    assert b'role="alert"' in answer.content


@pytest.mark.parametrize("place", ["cursor=zzz", "cursor=WzFd", "cursor=WyJhIiwiYiJd", "trail=x&cursor=%00", "size=7"])
@pytest.mark.parametrize("address", ["/devices/", "/certificates/", "/enrolment/", "/journal/", "/sessions/"])
def test_damaged_place_is_an_answer_and_not_a_crash(address: str, place: str, north: Scene, at_ada: Client) -> None:
    assert at_ada.get(f"{address}?{place}").status_code in {200, 400}


def test_text_of_devices_is_never_markup(north: Scene, at_ada: Client) -> None:
    device = north.enroll("evil", site="<script>alert(1)</script>")
    for address in ("/devices/", f"/devices/{device}/"):
        assert "<script>alert" not in at_ada.get(address).content.decode()


def test_roles_come_in_pages(north: Scene, at_ada: Client, at_cy: Client) -> None:
    for number in range(27):
        create_role(domain=north.domain, name=f"role-{number:02}", rules=[], actor=ADA, now=north.now)
    first = at_ada.get("/roles/").content.decode()
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = at_ada.get("/roles/" + following[1].replace("&amp;", "&")).content.decode()
    shown = [re.findall(r'class="name" href="/roles/[^"]+">([^<]+)<', page) for page in (first, second)]
    assert [len(names) for names in shown] == [25, len(shown[1])]
    assert sorted(shown[0] + shown[1]) == shown[0] + shown[1]
    assert {f"role-{number:02}" for number in range(27)} < set(shown[0] + shown[1])
    assert 'rel="next"' not in second
    assert "Page 2, " in second
    assert at_ada.get("/roles/?cursor=nonsense").status_code == 400
    assert "role-00" not in at_cy.get("/roles/").content.decode()
