"""Policy as a file at the console: taken out, looked at, and made a draft."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from console.core.roles import ConsoleRole
from console.views.policy_file import PolicyFileForm
from devices.core.policy_yaml import from_yaml
from devices.queries.policy import policy_document
from devices.queries.policy_changes import list_changes
from kernel.core.clock import utc_now
from tests.cast import NORTH, SOUTH
from tests.console.views.conftest import browser_of
from tests.console.views.scene import make_operator
from tests.devices.bare import Bare

ADDRESS = "/roles/_file/"
ACL = "topic read nobody\nuser pump-1\ntopic write up/#\n"


@pytest.fixture
def north(db: None) -> Bare:
    place = Bare(NORTH, "north", utc_now())
    place.role("pumps")
    return place


@pytest.fixture
def at_ada(north: Bare) -> Client:
    return browser_of(make_operator("ada", ConsoleRole.OWNER, NORTH, now=north.now))


def send(browser: Client, text: str = "", act: str = "plan", **more: Any) -> Any:
    return browser.post(
        ADDRESS, {"format": "gatehouse", "text": text, "title": "", "role_prefix": "", "act": act, **more}
    )


def exported(browser: Client) -> str:
    answer = browser.get(f"{ADDRESS}yaml/")
    assert answer["Content-Disposition"] == 'attachment; filename="north-policy.yaml"'
    return answer.content.decode()


def test_policy_is_taken_out_and_nothing_differs_when_it_comes_back(north: Bare, at_ada: Client) -> None:
    text = exported(at_ada)
    assert from_yaml(text).document == policy_document(domain=NORTH)
    assert "Nothing differs." in send(at_ada, text).content.decode()


def test_what_it_would_change_is_shown_and_the_text_stays(north: Bare, at_ada: Client) -> None:
    text = exported(at_ada).replace("- name: pumps", "- name: valves")
    file = SimpleUploadedFile("north.yaml", text.encode())
    page = send(at_ada, file=file).content.decode()
    assert "+ role valves" in page
    assert "- role pumps" in page
    assert "- name: valves" in page.partition("<textarea")[2]
    assert list_changes(domains=[NORTH]) == []


def test_draft_is_made_and_shown(north: Bare, at_ada: Client) -> None:
    text = exported(at_ada).replace("- name: pumps", "- name: valves")
    answer = send(at_ada, text, act="draft", title="From Git")
    [change] = list_changes(domains=[NORTH])
    assert answer["Location"] == f"/changes/{change.id}/"
    assert change.title == "From Git"
    assert [role.name for role in policy_document(domain=NORTH).roles] == ["pumps"]


def test_faults_are_shown_with_their_lines(north: Bare, at_ada: Client) -> None:
    page = send(at_ada, exported(at_ada).replace("effect: allow", "efect: allow")).content.decode()
    assert "It can not be imported" in page
    assert "Line 8: " in page


def test_file_of_a_broker_is_added_and_what_is_not_in_it_is_listed(north: Bare, at_ada: Client) -> None:
    page = send(at_ada, ACL, format="mosquitto-acl", role_prefix="old-").content.decode()
    assert "+ role old-pump-1" in page
    assert "- role pumps" not in page
    assert "topic read nobody" in page


@pytest.mark.parametrize("more", [{}, {"file": SimpleUploadedFile("x", b"\xff\xfe")}])
def test_nothing_and_what_is_no_text_are_faults_of_the_field(north: Bare, at_ada: Client, more: Any) -> None:
    assert 'id="id_file_error"' in send(at_ada, **more).content.decode()


def test_auditor_looks_and_makes_no_draft(north: Bare) -> None:
    at_bo = browser_of(make_operator("bo", ConsoleRole.AUDITOR, NORTH, now=north.now))
    page = send(at_bo, ACL, format="mosquitto-acl").content.decode()
    assert "+ role pump-1" in page
    assert "Make a draft" not in page
    assert send(at_bo, ACL, act="draft", format="mosquitto-acl").status_code == 403
    assert list_changes(domains=[NORTH]) == []


def test_another_domain_neither_sees_nor_writes_it(north: Bare, at_ada: Client) -> None:
    Bare(SOUTH, "south", north.now)
    at_cy = browser_of(make_operator("cy", ConsoleRole.OWNER, SOUTH, now=north.now))
    assert "pumps" not in at_cy.get(f"{ADDRESS}yaml/").content.decode()
    page = send(at_cy, exported(at_ada), act="draft").content.decode()
    assert "needs one of south" in page
    assert list_changes(domains=[NORTH, SOUTH]) == []


def test_every_format_has_a_name_for_people() -> None:
    assert all(label for _, label in PolicyFileForm().fields["format"].choices)  # type: ignore[attr-defined]
