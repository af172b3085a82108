"""The screens of applications: the list, one with its certificate and permissions, and who may do what to it."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from django.test import Client

from acl.services import create_role
from console.core.roles import ConsoleRole
from devices import queries, services
from devices.core.values import DeviceId, DeviceState, PrincipalKind
from kernel.core.actor import SYSTEM
from tests.console.views.conftest import browser_of
from tests.console.views.scene import Scene, make_csr, make_operator


def text(browser: Client, address: str, **asked: str) -> str:
    answer = browser.get(address, asked, follow=True)
    assert answer.status_code == 200, answer.content
    return " ".join(answer.content.decode().split())


@pytest.fixture
def dashboards(north: Scene) -> DeviceId:
    """An active application of north."""
    who: dict[str, Any] = {"actor": SYSTEM, "now": north.now}
    made = services.register_application(domain=north.domain, name="dashboards", **who)
    services.certify_application(application=made.id, csr=make_csr("x"), **who)
    return made.id


def state_of(application: DeviceId) -> DeviceState:
    return queries.get_application(application=application).state


def test_application_is_registered_and_given_a_certificate(north: Scene, at_ada: Client) -> None:
    assert "No application connects to a broker yet." in text(at_ada, "/applications/")
    answer = at_ada.post("/applications/new/", {"name": "dashboards"})
    assert answer.status_code == 302
    page = text(at_ada, answer["Location"])
    assert "it can not connect before it has one" in page
    signed = at_ada.post(f"{answer['Location']}certify/", {"csr": make_csr("whatever")})
    assert signed.status_code == 200
    [made] = queries.list_devices(domains=[north.domain], kind=PrincipalKind.APPLICATION).devices
    shown = signed.content.decode()
    begin = shown.index("-----BEGIN CERTIFICATE-----")
    [leaf, *_] = x509.load_pem_x509_certificates(shown[begin:].partition("</pre>")[0].encode())
    assert leaf.subject.rfc4514_string() == "CN=dashboards"
    assert made.state is DeviceState.ACTIVE
    assert ">dashboards</a>" in text(at_ada, "/applications/")


def test_bad_name_is_told_beside_the_form(north: Scene, at_ada: Client) -> None:
    for name in ("", "a/b", "pump-01"):
        answer = at_ada.post("/applications/new/", {"name": name})
        assert answer.status_code == 200
        assert 'role="alert"' in answer.content.decode()
    assert not queries.count_devices(domains=[north.domain], kind=PrincipalKind.APPLICATION)


def test_what_is_no_request_is_told_beside_the_form(dashboards: DeviceId, at_ada: Client) -> None:
    answer = at_ada.post(f"/applications/{dashboards}/certify/", {"csr": "nonsense"})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert len(queries.credentials_of(device=dashboards)) == 1


def test_page_says_what_it_may_and_why(north: Scene, dashboards: DeviceId, at_ada: Client) -> None:
    role = create_role(domain=north.domain, name="readers", rules=(), actor=SYSTEM, now=north.now)
    given = at_ada.post(f"/roles/{role.id}/bindings/", {"via": "application", "target": "dashboards"})
    assert given.status_code == 302, given.content
    assert f'<a href="/applications/{dashboards}/">dashboards</a>' in text(at_ada, f"/roles/{role.id}/")
    page = text(at_ada, f"/applications/{dashboards}/")
    assert "north/dashboards/up/#" in page  # by the role of the whole domain
    assert "Enrolled" not in page
    assert at_ada.get(f"/devices/{dashboards}/")["Location"] == f"/applications/{dashboards}/"
    asked = {"device": "dashboards", "action": "publish", "topic": "north/dashboards/up/t"}
    assert "Allowed." in text(at_ada, "/explorer/", **asked)
    who = text(at_ada, "/explorer/who/", action="publish", topic="north/dashboards/up/t", answer="1")
    assert "applications among them" in who


def test_devices_are_shown_without_it(dashboards: DeviceId, at_ada: Client) -> None:
    assert "dashboards" not in text(at_ada, "/devices/")
    assert ">dashboards<" in text(at_ada, "/search/", q="dash")
    assert f"/applications/{dashboards}/" in text(at_ada, "/search/", q="dash")


def test_role_for_a_device_is_not_given_to_it(north: Scene, dashboards: DeviceId, at_ada: Client) -> None:
    answer = at_ada.post(f"/roles/{north.role.id}/bindings/", {"via": "device", "target": "dashboards"})
    assert "There is no device called" in answer.content.decode()
    assert "dashboards" not in [row.target for row in queries.list_bindings(domains=[north.domain])]


def test_owner_suspends_resumes_and_revokes(dashboards: DeviceId, at_ada: Client) -> None:
    for act, after in (("suspend", DeviceState.SUSPENDED), ("resume", DeviceState.ACTIVE)):
        answer = at_ada.post(f"/devices/{dashboards}/{act}/")
        assert answer["Location"].startswith(f"/applications/{dashboards}/?operation=")
        assert state_of(dashboards) is after
    form = {"name": "dashboards", "reason": "keyCompromise"}
    assert "Applications</a>" in text(at_ada, f"/devices/{dashboards}/revoke/")
    assert at_ada.post(f"/devices/{dashboards}/revoke/", form).status_code == 302
    assert state_of(dashboards) is DeviceState.REVOKED


def test_operator_may_throw_out_and_not_let_in(north: Scene, dashboards: DeviceId) -> None:
    browser = browser_of(make_operator("di", ConsoleRole.OPERATOR, north.domain, now=north.now))
    assert browser.post(f"/devices/{dashboards}/suspend/").status_code == 302
    assert browser.post(f"/devices/{dashboards}/resume/").status_code == 403
    assert browser.post(f"/applications/{dashboards}/certify/", {"csr": make_csr("x")}).status_code == 403
    assert browser.get("/applications/new/").status_code == 403
    page = text(browser, f"/applications/{dashboards}/")
    assert "Resume" not in page
    assert state_of(dashboards) is DeviceState.SUSPENDED


def test_onboarding_engineer_can_do_nothing_to_it(north: Scene, dashboards: DeviceId) -> None:
    browser = browser_of(make_operator("ed", ConsoleRole.ONBOARDING, north.domain, now=north.now))
    for act in ("suspend", "resume", "quarantine", "revoke", "decommission"):
        assert browser.post(f"/devices/{dashboards}/{act}/").status_code == 403
    assert state_of(dashboards) is DeviceState.ACTIVE


def test_another_domain_sees_nothing_of_it(dashboards: DeviceId, at_cy: Client) -> None:
    for address in (f"/applications/{dashboards}/", f"/applications/{dashboards}/certify/", f"/devices/{dashboards}/"):
        assert at_cy.get(address).status_code == 404
    for address in (f"/applications/{dashboards}/certify/", f"/devices/{dashboards}/suspend/"):
        assert at_cy.post(address, {"csr": make_csr("x")}).status_code == 404
    assert "dashboards" not in text(at_cy, "/applications/")
