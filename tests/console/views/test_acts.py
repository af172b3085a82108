"""What operators do on the screens; who may not, can not."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client

from acl.queries import find_role, get_role
from console.models import Operator
from devices.core.values import DeviceState
from devices.queries import credentials_of, get_device, list_bindings, list_enrolment_requests, list_enrolment_tokens
from kernel.core.ids import EntryId
from kernel.core.journal import StepState
from kernel.models import Wakeup
from kernel.queries import list_entries
from pki.core.values import CertificateState
from pki.queries import get_certificate, list_certificates
from tests.console.views.scene import Scene


def state_of(scene: Scene, name: str) -> DeviceState:
    return get_device(device=scene.devices[name]).state


def posts(scene: Scene) -> dict[str, dict[str, str]]:
    """Every act on things of the scene, with a form that would do it."""
    device, certificate = scene.devices["pump-01"], credentials_of(device=scene.devices["pump-01"])[0].certificate
    token = list_enrolment_tokens(domains=[scene.domain])[0].id
    binding = list_bindings(domains=[scene.domain])[0].id
    role = f"/roles/{scene.role.id}"
    return {
        f"/devices/{device}/suspend/": {},
        f"/devices/{device}/quarantine/": {},
        f"/devices/{device}/resume/": {},
        f"/devices/{device}/end-tokens/": {},
        f"/devices/{device}/revoke/": {"name": "pump-01", "reason": "keyCompromise"},
        f"/devices/{device}/decommission/": {"name": "pump-01"},
        f"/certificates/{certificate}/revoke/": {"confirm": "", "reason": "superseded"},
        f"/certificates/{certificate}/hold/": {},
        f"/certificates/{certificate}/release/": {},
        f"/enrolment/{token}/revoke/": {},
        f"{role}/edit/": {"name": "x", "rows": "0"},
        f"{role}/delete/": {},
        f"{role}/bindings/": {"via": "domain"},
        f"{role}/bindings/{binding}/remove/": {},
        f"/brokers/{scene.broker.name}/check/": {},
        f"/brokers/{scene.broker.name}/plan/": {},
    }


def test_who_may_only_read_is_refused_every_act(north: Scene, at_bo: Client) -> None:
    before = list_entries(limit=1)[0].seq
    for address, form in posts(north).items():
        assert at_bo.post(address, form).status_code == 403, address
    for address in ("/enrolment/new/", "/roles/new/"):
        assert at_bo.get(address).status_code == 403, address
        assert at_bo.post(address, {}).status_code == 403, address
    assert list_entries(limit=1)[0].seq == before


def test_another_domain_can_not_act(north: Scene, at_cy: Client) -> None:
    before = list_entries(limit=1)[0].seq
    for address, form in posts(north).items():
        assert at_cy.post(address, form).status_code == 404, address
    assert list_entries(limit=1)[0].seq == before


def test_stranger_can_not_act(north: Scene, client: Client) -> None:
    for address, form in posts(north).items():
        assert client.post(address, form)["Location"] == "/sign-in/", address


def test_acts_need_a_post_and_its_csrf_token(north: Scene, at_ada: Client) -> None:
    address = f"/devices/{north.devices['pump-01']}/suspend/"
    assert at_ada.get(address).status_code == 405
    at_ada.handler.enforce_csrf_checks = True
    assert at_ada.post(address).status_code == 403
    assert state_of(north, "pump-01") is DeviceState.ACTIVE


def test_who_may_only_read_sees_no_button_for_it(north: Scene, at_bo: Client) -> None:
    device = north.devices["pump-01"]
    for address in (f"/devices/{device}/", "/devices/", "/enrolment/", "/roles/", f"/roles/{north.role.id}/",
                    f"/brokers/{north.broker.name}/"):  # fmt: skip
        text = at_bo.get(address).content.decode()
        main = text[text.index("<main") :]
        assert '<form method="post"' not in re.sub(r'action="/journal/verify/"', "", main), address
        assert "Revoke</a>" not in main


def test_suspend_ends_on_the_page_with_every_broker_s_answer(north: Scene, at_ada: Client) -> None:
    answer = at_ada.post(f"/devices/{north.devices['pump-01']}/suspend/", follow=True)
    text = answer.content.decode()
    assert state_of(north, "pump-01") is DeviceState.SUSPENDED
    assert 'id="operation"' in text
    assert "Device suspended" in text
    entry = list_entries(domain=north.domain, limit=1)[0]
    broker = Wakeup.objects.get(entry=entry.seq, target=f"broker:{north.broker.name}")
    assert row_of(at_ada, entry.id, f"Broker {north.broker.name}") == ["pending", "waiting", ""]
    broker.state, broker.detail = StepState.DONE, "One session ended."
    broker.finished_at = entry.at + timedelta(milliseconds=1_234)
    broker.save()
    assert row_of(at_ada, entry.id, f"Broker {north.broker.name}") == ["done", "1234 ms", "One session ended."]
    at_ada.post(f"/devices/{north.devices['pump-01']}/resume/")
    assert state_of(north, "pump-01") is DeviceState.ACTIVE


def row_of(client: Client, operation: EntryId, who: str) -> list[str]:
    """State, time and answer of one who has to obey, as the panel of the operation tells them."""
    panel = client.get(f"/operations/{operation}/panel/").content.decode()
    [row] = [each for each in panel.split("<tr>") if f">{who}<" in each]
    return [html.unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", "", cell)).strip() for cell in row.split("</td>")[1:4]]


def test_act_that_the_state_forbids_is_a_message(north: Scene, at_ada: Client) -> None:
    revoked = north.devices["pump-03"]
    assert state_of(north, "pump-03") is DeviceState.REVOKED
    answer = at_ada.post(f"/devices/{revoked}/suspend/", follow=True)
    assert answer.status_code == 200
    assert b"can not become suspended" in answer.content


def test_revoke_needs_the_name_and_loses_nothing_typed(north: Scene, at_ada: Client) -> None:
    address = f"/devices/{north.devices['pump-01']}/revoke/"
    form = {"name": "pump-02", "reason": "keyCompromise", "note": "found in the river"}
    answer = at_ada.post(address, form)
    assert b"nothing was done" in answer.content
    assert b"found in the river" in answer.content
    assert state_of(north, "pump-01") is DeviceState.ACTIVE
    done = at_ada.post(address, form | {"name": "pump-01"}, follow=True)
    assert state_of(north, "pump-01") is DeviceState.REVOKED
    assert 'hx-trigger="every 500ms"' in done.content.decode()


def test_certificate_is_held_released_and_revoked(north: Scene, at_ada: Client) -> None:
    certificate = credentials_of(device=north.devices["pump-01"])[0].certificate
    assert b'id="operation"' in at_ada.post(f"/certificates/{certificate}/hold/", follow=True).content
    assert get_certificate(id=certificate).state is CertificateState.HELD
    at_ada.post(f"/certificates/{certificate}/release/")
    assert get_certificate(id=certificate).state is CertificateState.ISSUED
    address = f"/certificates/{certificate}/revoke/"
    assert b"nothing was done" in at_ada.post(address, {"confirm": "zzz", "reason": "superseded"}).content
    ending = get_certificate(id=certificate).serial_hex[-8:]
    at_ada.post(address, {"confirm": ending, "reason": "superseded"})
    assert get_certificate(id=certificate).state is CertificateState.REVOKED


def test_token_is_shown_once(north: Scene, at_ada: Client) -> None:
    form = {"profile": "default", "max_uses": "3", "expires_in": "3600", "allowed_networks": "192.0.2.0/24"}
    text = at_ada.post("/enrolment/new/", form).content.decode()
    token = re.search(r'id="token" tabindex="0">([^<]+)<', text)
    assert token
    assert f"Bearer {token.group(1)}" in text
    again = at_ada.get("/enrolment/").content.decode()
    assert token.group(1) not in again
    newest = list_enrolment_tokens(domains=[north.domain])[0]
    assert (newest.max_uses, newest.allowed_networks) == (3, ("192.0.2.0/24",))
    at_ada.post(f"/enrolment/{newest.id}/revoke/")
    assert list_enrolment_tokens(domains=[north.domain])[0].revoked_at is not None


def test_enrolment_that_waits_is_approved_or_denied(north: Scene, at_ada: Client, at_bo: Client, at_cy: Client) -> None:
    north.waiting("meter-1", site="vault")
    north.waiting("meter-2")
    waits = list_enrolment_requests(domains=[north.domain], state="pending")
    addresses = {row.name: f"/enrolment/requests/{row.id}" for row in waits}
    page = at_ada.get("/enrolment/").content
    assert b"meter-1" in page
    assert b"site = vault" in page
    assert at_bo.post(addresses["meter-1"] + "/approve/").status_code == 403
    assert at_cy.post(addresses["meter-1"] + "/approve/").status_code == 404
    at_ada.post(addresses["meter-1"] + "/approve/")
    at_ada.post(addresses["meter-2"] + "/deny/")
    states = {row.name: row.state.value for row in list_enrolment_requests(domains=[north.domain])}
    assert states["meter-1"] in {"approved", "issued"}
    assert states["meter-2"] == "denied"
    assert b"denied already" in at_ada.post(addresses["meter-2"] + "/approve/", follow=True).content


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("max_uses", "0", b"greater than or equal to 1"), ("allowed_networks", "10.0.0.1/8", b"is no network"),
     ("profile", "other", b"not one of the available choices")],
)  # fmt: skip
def test_wrong_token_form_says_so_beside_the_field(
    field: str, value: str, word: bytes, north: Scene, at_ada: Client
) -> None:
    form = {"profile": "default", "max_uses": "3", "expires_in": "3600", "allowed_networks": ""} | {field: value}
    before = len(list_enrolment_tokens(domains=[north.domain]))
    answer = at_ada.post("/enrolment/new/", form)
    assert word in answer.content
    assert len(list_enrolment_tokens(domains=[north.domain])) == before


def role_form(**more: str) -> dict[str, str]:
    rule = {"effect": "allow", "actions": "publish", "topic": "${domain}/x/#", "qos": "0 1 2", "retain": "any",
            "shared": "any"}  # fmt: skip
    return {"name": "valve", "description": "", "rows": "1", **{f"rule-0-{k}": v for k, v in rule.items()}, **more}


def test_role_is_made_bound_changed_and_unbound(north: Scene, at_ada: Client) -> None:
    at_ada.post("/roles/new/", role_form())
    role = find_role(domain=north.domain, name="valve")
    assert role is not None
    assert [rule.topic for rule in role.rules] == ["${domain}/x/#"]
    at_ada.post(f"/roles/{role.id}/bindings/", {"via": "device", "target": "pump-01"})
    [binding] = list_bindings(domains=[north.domain], role=role.id)
    assert (binding.via, binding.target) == ("device", "pump-01")
    at_ada.post(f"/roles/{role.id}/edit/", role_form(version="1", **{"rule-0-actions": "publish subscribe"}))
    assert get_role(id=role.id).version == 2
    assert b"still bound" in at_ada.post(f"/roles/{role.id}/delete/", follow=True).content
    at_ada.post(f"/roles/{role.id}/bindings/{binding.id}/remove/")
    at_ada.post(f"/roles/{role.id}/delete/")
    assert find_role(domain=north.domain, name="valve") is None


def test_wrong_rule_says_so_beside_it_and_keeps_what_was_typed(north: Scene, at_ada: Client) -> None:
    text = at_ada.post("/roles/new/", role_form(**{"rule-0-topic": "a/#/b"})).content.decode()
    field = text[text.index('name="rule-0-topic"') :]
    assert 'value="a/#/b"' in text
    assert "fault" in field[: field.index("</fieldset>")]
    assert find_role(domain=north.domain, name="valve") is None


def test_another_rule_is_a_new_row_and_saves_nothing(north: Scene, at_ada: Client) -> None:
    text = at_ada.post("/roles/new/", role_form(more="1")).content.decode()
    assert 'name="rule-1-topic"' in text
    assert 'value="${domain}/x/#"' in text
    assert find_role(domain=north.domain, name="valve") is None


def test_role_that_was_changed_meanwhile_is_not_overwritten(north: Scene, at_ada: Client) -> None:
    form = role_form(name="device-default", version="1")
    at_ada.post(f"/roles/{north.role.id}/edit/", form)
    answer = at_ada.post(f"/roles/{north.role.id}/edit/", form | {"rule-0-topic": "other/#"})
    assert b"changed meanwhile" in answer.content


def test_binding_to_nothing_is_a_fault(north: Scene, at_ada: Client) -> None:
    answer = at_ada.post(f"/roles/{north.role.id}/bindings/", {"via": "device", "target": "nobody"})
    assert b"no device called" in answer.content


def test_domain_is_changed_only_to_one_s_own(north: Scene, south: Scene, at_ada: Client) -> None:
    assert at_ada.post("/domain/", {"domain": "south"}).status_code == 404
    assert at_ada.post("/domain/", {"domain": "north"}).status_code == 302


def test_theme_is_kept_in_a_cookie_and_rendered(north: Scene, at_ada: Client) -> None:
    assert b"data-bs-theme" not in at_ada.get("/").content
    answer = at_ada.post("/theme/", {"theme": "dark", "next": "/devices/"})
    assert answer["Location"] == "/devices/"
    assert b'data-bs-theme="dark"' in at_ada.get("/").content
    assert at_ada.post("/theme/", {"theme": "dark", "next": "https://evil.example/"})["Location"] == "/"


def test_times_are_typed_in_the_zone_that_was_chosen(north: Scene, ada: Operator, at_ada: Client) -> None:
    assert b"Time in UTC." in at_ada.get(f"/roles/{north.role.id}/").content
    answer = at_ada.post("/time-zone/", {"time_zone": "Europe/Vienna"}, follow=True)
    assert b"You type times in Europe/Vienna." in answer.content
    assert b"Time in Europe/Vienna." in at_ada.get(f"/roles/{north.role.id}/").content
    at_ada.post("/time-zone/", {"time_zone": "Mars/Olympus"})
    ada.refresh_from_db()
    assert ada.time_zone == "Europe/Vienna"


def test_whole_chain_is_verified_on_request(north: Scene, at_ada: Client) -> None:
    assert b"The chain holds" in at_ada.post("/journal/verify/", follow=True).content


def test_jump_finds_devices_serials_roles_and_brokers(north: Scene, at_ada: Client, at_cy: Client) -> None:
    serial = list_certificates(domains=[north.domain], limit=1)[0].serial_hex
    for text, address in {
        "pump-0": f"/devices/{north.devices['pump-01']}/",
        serial[:10]: "/certificates/",
        "device-def": f"/roles/{north.role.id}/",
        "hall": "/brokers/north-hall/",
    }.items():
        found = at_ada.get("/search/found/", {"q": text}).content.decode()
        assert address in found, text
        if text != "device-def":
            assert "north" not in at_cy.get("/search/found/", {"q": text}).content.decode()
    assert "Nothing begins with" in at_ada.get("/search/found/", {"q": "zzz<b>"}).content.decode()
