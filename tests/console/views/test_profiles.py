"""Profiles: read as a table, changed by form or as JSON, tried before they are saved."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from console.views.profile_forms import ProfileForm, initial_of
from console.views.profile_words import differences, lines_of
from kernel.queries import list_entries
from pki import queries
from pki.core.profile_documents import parse_profile, profile_document
from pki.core.profiles import PROFILES
from tests.console.views.scene import Scene


def filled(like: str = "device", **more: object) -> dict[str, object]:
    """What a browser sends of the untouched form of a built-in profile."""
    initial = initial_of(PROFILES[like], name=like) | more
    return sent(initial)


def sent(initial: dict[str, object]) -> dict[str, object]:
    """What a browser makes of a form's fields: a box without a tick is not there."""
    return {key: value for key, value in initial.items() if value is not None and value is not False and value != ""}


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_form_spells_each_built_in_profile_as_it_is(name: str) -> None:
    form = ProfileForm(filled(name))
    assert form.is_valid(), form.errors
    assert parse_profile(form.document(), name=name) == PROFILES[name]


def test_form_spells_everything_that_a_profile_can_say() -> None:
    document = {
        "description": "all of it", "validity": {"until": "2036-01-01T00:00:00Z"}, "backdate_seconds": 60,
        "issuer_limits": "refuse", "subject": [{"attribute": "O", "value": "Acme = Sons"},
                                               {"attribute": "CN", "value": "${auth_id}"}],
        "alternative_names": [{"kind": "hardware-module", "value": "${serial}", "hardware_type": "1.3.6.1.4.1.9.1"},
                              {"kind": "uri", "value": "urn:x:${id}"}],
        "requestable": [{"kind": "dns", "patterns": ["*.lab", "*.example"]}, {"kind": "ip", "patterns": []}],
        "needs_requested": True, "key_usage": ["keyCertSign", "cRLSign"], "is_ca": True, "path_length": 1,
        "extended_key_usage": ["clientAuth", "1.2.3.4"], "policies": [{"oid": "1.2.3", "cps": "https://cps.example"}],
        "permitted_names": [{"kind": "dns", "value": "example"}],
        "excluded_names": [{"kind": "ip", "value": "10.0.0.0/8"}],
        "key_families": ["rsa", "ml-dsa-44"], "rsa_bits": 3072, "names_ocsp": False, "names_crl": True,
    }  # fmt: skip
    profile = parse_profile(document, name="x")
    form = ProfileForm(sent(initial_of(profile, name="x")))
    assert form.is_valid(), form.errors
    assert profile_document(parse_profile(form.document(), name="x")) == profile_document(profile)
    told = " ".join(value for line in lines_of(profile) for value in line.values)
    for words in ("O=Acme = Sons", "1.3.6.1.4.1.9.1", "*.lab, *.example", "yes, 1 CAs below", "2036-01-01",
                  "rsa of 3072 bits", "refused", "1.2.3 (https://cps.example)"):  # fmt: skip
        assert words in told, words


def test_list_and_page_say_what_there_is(north: Scene, at_ada: Client) -> None:
    text = at_ada.get("/profiles/").content.decode()
    for name in PROFILES:
        assert f'href="/profiles/{name}/"' in text
    text = at_ada.get("/profiles/device/").content.decode()
    for words in ("CN=${auth_id}", "URI urn:gatehouse:${domain}:device:${id}", "clientAuth", "RFC 5280 4.2.1.12"):
        assert words in text
    assert at_ada.get("/profiles/nothing/").status_code == 404


def test_saved_as_a_new_version_and_compared(north: Scene, at_ada: Client) -> None:
    assert at_ada.post("/profiles/device/edit/", filled(validity_value="90"))["Location"] == "/profiles/device/"
    profile = queries.find_profile(domain=north.domain, name="device")
    assert (profile.version, profile.validity.days) == (1, 90)  # type: ignore[union-attr]
    text = at_ada.get("/profiles/device/versions/1/").content.decode()
    assert "&quot;days&quot;: 365" in text
    assert "&quot;days&quot;: 90" in text
    assert [each.name for each in differences(PROFILES["device"], profile)] == ["validity"]
    assert at_ada.get("/profiles/device/versions/0/").status_code == 200
    assert at_ada.get("/profiles/device/versions/7/").status_code == 404
    at_ada.post("/profiles/device/retire/")
    assert queries.find_profile(domain=north.domain, name="device").version == 0


def test_new_profile_begins_as_a_copy(north: Scene, at_ada: Client) -> None:
    assert b"urn:gatehouse" in at_ada.get("/profiles/_new/?like=application").content
    form = filled(name="sensor", description="Sensors", subject="O=Acme\nCN=${auth_id}")
    assert at_ada.post("/profiles/_new/", form)["Location"] == "/profiles/sensor/"
    assert b"sensor" in at_ada.get("/certificates/").content
    again = at_ada.post("/profiles/_new/", form)
    assert b'role="alert"' in again.content
    assert at_ada.post("/profiles/_new/", filled(name="No Name")).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("subject", "CN=${auth_id}\nXX=y", "Line 2: "),
        ("alternative_names", "uri=urn:x\nfax=1", "Line 2: "),
        ("validity_value", "soon", "fault"),
        ("validity_value", "0", "above zero"),
        ("path_length", "1", "is for CAs"),
        ("policies", "nonsense", "Line 1: "),
        ("rsa_bits", "100", "RSA keys have 2048 to 8192 bits"),
    ],
)
def test_fault_stands_beside_its_field_and_nothing_typed_is_lost(
    field: str, value: str, words: str, north: Scene, at_ada: Client
) -> None:
    text = at_ada.post("/profiles/device/edit/", filled(**{field: value, "description": "typed text"})).content.decode()
    assert 'value="typed text"' in text
    place = text[text.index(f'name="{field}"') :]
    assert words in place[: place.index('class="field', 10)]
    assert queries.find_profile(domain=north.domain, name="device").version == 0


def test_written_as_json(north: Scene, at_ada: Client) -> None:
    document = profile_document(PROFILES["device"]) | {"validity": {"days": 30}}
    assert b"&quot;validity&quot;" in at_ada.get("/profiles/device/edit/json/").content
    for wrong, words in (("{", b"This is no JSON"), ('{"validity": {"days": 1}, "x": 1}', b"/x: ")):
        answer = at_ada.post("/profiles/device/edit/json/", {"document": wrong, "version": "0"})
        assert words in answer.content
    written = {"document": json.dumps(document), "version": "0"}
    assert at_ada.post("/profiles/device/edit/json/", written).status_code == 302
    assert queries.find_profile(domain=north.domain, name="device").version == 1
    late = at_ada.post(
        "/profiles/device/edit/json/", {**written, "document": json.dumps(document | {"rsa_bits": 4096})}
    )
    assert b"changed meanwhile" in late.content


def test_preview_shows_the_certificate_and_saves_nothing(north: Scene, at_ada: Client) -> None:
    before = list_entries(limit=1)[0].seq
    text = at_ada.get("/profiles/device/preview/?issuer=north-ca").content.decode()
    assert "north Issuing CA" in text
    assert "clientAuth" in text
    text = at_ada.post(
        "/profiles/_preview/", filled(subject="O=Acme\nCN=${auth_id}", issuer="north-ca")
    ).content.decode()
    assert "O=Acme" in text
    assert "is for CAs" in at_ada.post("/profiles/_preview/", filled(path_length="1")).content.decode()
    assert "This is no JSON" in at_ada.post("/profiles/_preview/", {"document": "{"}).content.decode()
    assert at_ada.get("/profiles/device/preview/?issuer=south-ca").status_code == 404
    assert list_entries(limit=1)[0].seq == before


def test_who_may_only_read_changes_nothing(north: Scene, at_bo: Client) -> None:
    assert at_bo.get("/profiles/device/").status_code == 200
    assert b"/profiles/device/edit/" not in at_bo.get("/profiles/device/").content
    before = list_entries(limit=1)[0].seq
    for address in ("/profiles/_new/", "/profiles/device/edit/", "/profiles/device/edit/json/"):
        assert at_bo.get(address).status_code == 403
        assert at_bo.post(address, filled()).status_code == 403
    assert at_bo.post("/profiles/device/retire/").status_code == 403
    assert list_entries(limit=1)[0].seq == before


def test_another_domain_has_its_own(north: Scene, at_ada: Client, at_cy: Client) -> None:
    at_ada.post("/profiles/_new/", filled(name="sensor"))
    for leaf in ("", "edit/", "edit/json/", "preview/", "versions/1/"):
        assert at_cy.get(f"/profiles/sensor/{leaf}").status_code == 404
    assert at_cy.post("/profiles/sensor/retire/").status_code == 404
