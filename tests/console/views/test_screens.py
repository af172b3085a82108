"""Every screen: it works, it needs a login, and another domain sees nothing."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from devices.queries import credentials_of
from kernel.queries import list_entries
from tests.console.views.scene import Scene

LISTS = ("/", "/devices/", "/groups/", "/groups/_new/", "/enrolment/", "/enrolment/new/", "/issuers/",
         "/issuers/_new/", "/issuers/_new/root/",
         "/issuers/_new/issuing-ca/", "/issuers/_new/import/", "/certificates/", "/profiles/", "/profiles/_new/",
         "/profiles/device/", "/profiles/device/edit/", "/profiles/device/edit/json/",
         "/revocation/", "/revocation/many/", "/roles/", "/roles/new/", "/roles/_file/", "/changes/",
         "/explorer/", "/explorer/who/", "/explorer/reach/",
         "/brokers/", "/sessions/", "/access-log/", "/suggestions/", "/findings/", "/journal/",
         "/time-zone/", "/search/?q=pump")  # fmt: skip


def details(scene: Scene) -> dict[str, str]:
    """Addresses of things of the scene, each with a word that has to stand on it."""
    device = scene.devices["pump-01"]
    certificate = credentials_of(device=device)[0].certificate
    entry = list_entries(domain=scene.domain, limit=1)[0]
    return {
        f"/devices/{device}/": "pump-01",
        f"/devices/{device}/revoke/": "can not be undone",
        f"/devices/{device}/decommission/": "can not be undone",
        f"/devices/{device}/explain/?action=publish&topic=north/pump-01/up/t": "Allowed",
        f"/issuers/{scene.ca.slug}/": "CRLs and OCSP",
        f"/issuers/{scene.ca.slug}/issuance/": "in 30 days",
        f"/issuers/{scene.ca.slug}/pem/": "BEGIN CERTIFICATE",
        f"/certificates/{certificate}/": "subjectPublicKeyInfo",
        f"/certificates/{certificate}/pem/": "BEGIN CERTIFICATE",
        f"/certificates/{certificate}/revoke/": "can not be undone",
        f"/roles/{scene.role.id}/": "${client_id}",
        f"/roles/{scene.role.id}/edit/": "Topic filter",
        f"/roles/{scene.role.id}/use/": "Not known.",
        f"/brokers/{scene.broker.name}/": "127.0.0.1",
        f"/brokers/{scene.broker.name}/deviations/": "",
        f"/operations/{entry.id}/": "",
        f"/operations/{entry.id}/panel/": "",
    }


@pytest.mark.parametrize("address", LISTS)
def test_list_works_with_and_without_devices(address: str, at_ada: Client, at_cy: Client) -> None:
    for browser in (at_ada, at_cy):
        answer = browser.get(address)
        assert answer.status_code == 200, answer.content[:2000]
        assert b'<h1 id="heading">' in answer.content


def test_every_detail_works(north: Scene, at_ada: Client) -> None:
    for address, word in details(north).items():
        answer = at_ada.get(address)
        assert answer.status_code == 200, address
        assert word in answer.content.decode(), address


def test_every_screen_sends_a_stranger_to_the_sign_in(north: Scene, client: Client) -> None:
    for address in (*LISTS, *details(north)):
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith("/sign-in/"), address


def test_another_domain_is_not_there(north: Scene, at_cy: Client) -> None:
    for address in details(north):
        assert at_cy.get(address).status_code == 404, address


def test_what_a_part_asks_for_without_a_session_leads_to_the_sign_in(north: Scene, client: Client) -> None:
    entry = list_entries(domain=north.domain, limit=1)[0]
    answer = client.get(f"/operations/{entry.id}/panel/", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/sign-in/"


def test_screens_are_not_kept_by_any_cache(north: Scene, at_ada: Client) -> None:
    kept = at_ada.get("/devices/")["Cache-Control"]
    assert "no-store" in kept
    assert "private" in kept


def test_no_page_holds_a_secret(north: Scene, at_ada: Client) -> None:
    for address in (*LISTS, *details(north)):
        text = at_ada.get(address).content.decode()
        assert "hidden-password" not in text
        assert north.token.partition(".")[2] not in text


@pytest.mark.parametrize(
    "address", ["/", "/devices/", "/certificates/", "/brokers/", "/findings/", "/journal/", "/enrolment/"]
)
def test_queries_do_not_grow_with_the_fleet(address: str, north: Scene, at_ada: Client) -> None:
    at_ada.get(address)
    with CaptureQueriesContext(connection) as few:
        at_ada.get(address)
    for number in range(12):
        north.enroll(f"more-{number}")
    with CaptureQueriesContext(connection) as many:
        at_ada.get(address)
    assert len(many) <= len(few), [query["sql"] for query in many.captured_queries]


def test_broker_that_does_not_answer_is_a_message(north: Scene, at_ada: Client) -> None:
    answer = at_ada.post(f"/brokers/{north.broker.name}/plan/", follow=True)
    assert answer.status_code == 200
    assert "Nothing was changed" in answer.content.decode()


def test_address_of_nothing_is_a_page_that_says_so(client: Client) -> None:
    answer = client.get("/no/such/place/")
    assert answer.status_code == 404
    assert b"Nothing here" in answer.content
    assert b"tabler.min.css" in answer.content


def test_stale_form_is_a_page_that_says_what_to_do(db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "ada"})
    assert answer.status_code == 403
    assert b"reload the page" in answer.content


def test_every_page_forbids_inline_scripts_and_styles(north: Scene, at_ada: Client) -> None:
    for address in ("/", "/sign-in/", "/no/such/place/"):
        policy = at_ada.get(address, follow=True)["Content-Security-Policy"]
        assert "script-src 'self';" in f"{policy};"
        assert "style-src 'self';" in f"{policy};"
        assert "unsafe" not in policy
