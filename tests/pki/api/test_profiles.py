"""/api/v1/profiles/ for ada, who may write, and bo, who only reads."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from django.contrib.auth.models import AnonymousUser
from django.urls import include, path, resolve
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from kernel.core.caller import Caller, DomainRef
from pki.core.profiles import PROFILES
from pki.core.values import Issuer
from tests.cast import ADA, BO, NORTH, SOUTH

urlpatterns = [path("api/v1/", include("pki.api.urls"))]
pytestmark = pytest.mark.django_db

NORTHERN, SOUTHERN = DomainRef(id=NORTH, slug="north"), DomainRef(id=SOUTH, slug="south")
READ = frozenset({"profiles:read"})
ada = Caller(actor=ADA, domains=(NORTHERN,), scopes=READ | {"profiles:write"})
bo = Caller(actor=BO, domains=(NORTHERN,), scopes=READ)
PUMP = {
    "validity": {"days": 30},
    "subject": [{"attribute": "CN", "value": "${auth_id}"}],
    "alternative_names": [{"kind": "dns", "value": "${auth_id}.pumps.example"}],
    "key_usage": ["digitalSignature"],
    "extended_key_usage": ["clientAuth"],
}


def call(method: str, tail: str, caller: Caller = ada, body: Any = None, **headers: str) -> Response:
    request = getattr(APIRequestFactory(), method.lower())(
        f"/api/v1/profiles/{tail}", body, format="json" if body is not None else None, headers=headers
    )
    force_authenticate(request, user=AnonymousUser(), token=caller)  # type: ignore[arg-type]
    match = resolve(request.path, urlconf=__name__)
    answer: Response = match.func(request, **match.kwargs)
    return answer


def codes(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.data["code"]


def create(name: str = "pump", document: Any = None) -> Response:
    return call("POST", "", body={"name": name, "document": document or PUMP})


def test_profiles_are_listed_by_name_a_page_at_a_time() -> None:
    create()
    first = call("GET", "?limit=3", bo).data
    second = call("GET", f"?limit=100&cursor={first['next']}", bo).data
    names = [each["name"] for each in (*first["results"], *second["results"])]
    assert names == sorted([*PROFILES, "pump"])
    assert (second["next"], first["approximate_count"]) == (None, len(PROFILES) + 1)


def test_two_domains_have_their_profiles_each() -> None:
    create()
    both = Caller(actor=ADA, domains=(NORTHERN, SOUTHERN), scopes=ada.scopes)
    found = call("GET", "", both).data["results"]
    assert [each["domain"] for each in found if each["name"] == "pump"] == ["north"]
    assert [each["domain"] for each in found if each["name"] == "device"] == ["north", "south"]
    assert codes(call("GET", "device/", both)) == (400, "domain-required")
    assert call("GET", "device/?domain=south", both).data["domain"] == "south"


def test_a_profile_is_made_read_and_changed() -> None:
    made = create()
    assert (made.status_code, made.data["version"], made.headers["ETag"]) == (201, 1, '"1"')
    assert made.data["variables"] == ["auth_id"]
    changed = call("PUT", "pump/", body={"document": PUMP | {"validity": {"days": 60}}}, If_Match='"1"')
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    read = call("GET", "pump/", bo).data
    assert (read["version"], read["document"]["validity"]) == (2, {"days": 60})
    assert [each["version"] for each in read["versions"]] == [2, 1]
    assert call("GET", "pump/?version=1", bo).data["document"]["validity"] == {"days": 30}
    assert codes(call("GET", "pump/?version=9", bo)) == (404, "profile-unknown")
    assert codes(call("GET", "pump/?version=x", bo)) == (404, "profile-unknown")


def test_of_two_editors_the_second_is_told() -> None:
    create()
    body = {"document": PUMP | {"validity": {"days": 60}}}
    assert call("PUT", "pump/", body=body, If_Match='"1"').status_code == 200
    assert codes(call("PUT", "pump/", body=body, If_Match='"1"')) == (412, "version-mismatch")
    assert codes(call("PUT", "pump/", body=body, If_Match="W/nonsense")) == (412, "version-mismatch")
    assert codes(call("PUT", "pump/", body=body)) == (428, "if-match-required")


def test_a_fault_is_told_with_a_pointer_to_it() -> None:
    answer = create(document=PUMP | {"key_usage": ["fly"], "colour": "red"})
    assert codes(answer) == (400, "profile-document")
    assert {error["pointer"] for error in answer.data["errors"]} == {"/key_usage/0", "/colour"}


def test_a_name_is_taken_once() -> None:
    create()
    assert codes(create()) == (409, "profile-name-taken")
    assert codes(create("device")) == (409, "profile-name-taken")


def test_a_built_in_profile_is_changed_and_brought_back() -> None:
    document = call("GET", "device/").data["document"]
    changed = call("PUT", "device/", body={"document": document | {"validity": {"days": 7}}}, If_Match='"0"')
    assert changed.data["version"] == 1
    assert call("POST", "device/retire/", body={}).status_code == 204
    assert call("GET", "device/").data["version"] == 0
    assert codes(call("POST", "device/retire/", body={})) == (404, "profile-unknown")


def test_what_there_is_not_is_not_found() -> None:
    for method, tail in (("GET", "none/"), ("PUT", "none/"), ("POST", "none/retire/"), ("POST", "none/preview/")):
        body = None if method == "GET" else {"document": PUMP} if method == "PUT" else {}
        assert codes(call(method, tail, body=body)) == (404, "profile-unknown")


def test_a_preview_shows_certificate_fields_and_findings(ca: Issuer) -> None:
    create()
    body = {"issuer": "north-ca", "variables": {"auth_id": "p-7"}}
    shown = call("POST", "pump/preview/", bo, body)
    assert shown.status_code == 200
    certificate = x509.load_pem_x509_certificate(shown.data["certificate"].encode())
    assert certificate.subject.rfc4514_string() == "CN=p-7"
    assert certificate.issuer.rfc4514_string() == "CN=North CA"
    assert {"name": "subjectAltName", "values": ["DNS:p-7.pumps.example"], "critical": False} in shown.data["fields"]
    assert (shown.data["findings"], shown.data["linters"]) == ([], ["gatehouse", "pkilint"])
    assert codes(call("POST", "pump/preview/", bo, {"issuer": "south-ca"})) == (404, "issuer-unknown")


def test_a_document_is_tried_before_it_is_saved() -> None:
    document = PUMP | {"policies": [{"oid": "1.3.6.1.4.1.32473.9", "cps": "the wall"}]}
    found = call("POST", "new/preview/", bo, {"document": document}).data["findings"]
    [own] = [each for each in found if each["source"] == "gatehouse"]
    assert (own["severity"], own["code"], own["section"]) == ("error", "policy-cps", "RFC 5280 4.2.1.4")


def test_a_server_is_previewed_with_the_names_that_are_asked_for() -> None:
    body = {"dns_names": ["mq.example"], "ip_addresses": ["192.0.2.1"]}
    fields = call("POST", "broker-server/preview/", bo, body).data["fields"]
    [names] = [each["values"] for each in fields if each["name"] == "subjectAltName"]
    assert names == ["DNS:mq.example", "IP:192.0.2.1"]
    fields = call("POST", "broker-server/preview/", bo, {}).data["fields"]
    assert [each["values"] for each in fields if each["name"] == "subjectAltName"] == [["DNS:sample.example"]]
    assert codes(call("POST", "device/preview/", bo, body)) == (400, "certificate-name")
