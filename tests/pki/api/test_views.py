"""/api/v1/issuers/ and /api/v1/certificates/ for ada, who may, bo, who only reads, and cy, who is of another domain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from django.contrib.auth.models import AnonymousUser
from django.urls import include, path, resolve
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from kernel.core.actor import Actor
from kernel.core.caller import Caller, DomainRef
from kernel.queries import find_operation
from pki import queries, services
from pki.core.values import Issuer, KeyAlgorithm
from pki.models import Certificate
from tests.cast import ADA, BO, CY, NORTH, SOUTH
from tests.pki.conftest import IssueDevice

urlpatterns = [path("api/v1/", include("pki.api.urls"))]

NORTHERN, SOUTHERN = DomainRef(id=NORTH, slug="north"), DomainRef(id=SOUTH, slug="south")
READ = frozenset({"issuers:read", "certificates:read"})
ALL = READ | {"issuers:sign", "certificates:revoke"}


def as_(actor: Actor, *domains: DomainRef, scopes: frozenset[str] = ALL) -> Caller:
    return Caller(actor=actor, domains=domains, scopes=scopes)


ada, bo, cy = as_(ADA, NORTHERN), as_(BO, NORTHERN, scopes=READ), as_(CY, SOUTHERN)
revoker = as_(ADA, NORTHERN, scopes=READ | {"certificates:revoke"})


def call(method: str, tail: str, caller: Caller = ada, body: Any = None) -> Response:
    request = getattr(APIRequestFactory(), method.lower())(f"/api/v1/{tail}", body, format="json" if body else None)
    force_authenticate(request, user=AnonymousUser(), token=caller)  # type: ignore[arg-type]
    match = resolve(request.path, urlconf=__name__)
    answer: Response = match.func(request, **match.kwargs)
    return answer


def codes(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.data["code"]


def test_issuers_are_listed_by_slug_a_page_at_a_time(root: Issuer, ca: Issuer) -> None:
    first = call("GET", "issuers/?limit=1", bo).data
    assert ([each["slug"] for each in first["results"]], first["approximate_count"]) == (["north-ca"], 2)
    second = call("GET", f"issuers/?limit=1&cursor={first['next']}", bo).data
    assert ([each["slug"] for each in second["results"]], second["next"]) == (["north-root"], None)
    [issuing] = first["results"]
    assert (issuing["parent"], issuing["domain"], issuing["crl"]["number"]) == ("north-root", "north", 1)
    assert issuing["certificate"] == ca.certificate_pem


def test_an_issuer_shows_what_its_certificate_says(root: Issuer, ca: Issuer) -> None:
    document = call("GET", "issuers/north-ca/", bo).data
    parsed = x509.load_pem_x509_certificate(document["certificate"].encode())
    assert int(document["serial_number"], 16) == parsed.serial_number
    assert document["not_after"] == parsed.not_valid_after_utc.isoformat().replace("+00:00", "Z")
    assert document["crl_url"] == "http://127.0.0.1:8000/pki/north-ca/crl"
    assert document["key_algorithm"] == KeyAlgorithm.ECDSA_P256
    assert call("GET", "issuers/north-root/", bo).data["parent"] is None


def test_a_crl_is_published_on_demand_each_time(ca: Issuer) -> None:
    numbers = []
    for _ in range(2):
        answer = call("POST", "issuers/north-ca/crl/")
        assert answer.status_code == 201
        numbers.append(answer.data["number"])
    assert numbers == [2, 3]
    newest = queries.latest_crl(issuer=ca.id)
    assert newest is not None
    assert x509.load_der_x509_crl(newest.der).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3


def test_certificates_are_listed_the_newest_first_and_narrowed(ca: Issuer, issue_device: IssueDevice) -> None:
    made = [issue_device(name) for name in ("a", "b", "c")]
    first = call("GET", "certificates/?profile=device&limit=2", bo).data
    assert [each["id"] for each in first["results"]] == [str(made[2].id), str(made[1].id)]
    assert first["approximate_count"] == 3
    second = call("GET", f"certificates/?profile=device&limit=2&cursor={first['next']}", bo).data
    assert ([each["id"] for each in second["results"]], second["next"]) == ([str(made[0].id)], None)
    for narrowed in (
        f"holder={made[0].holder}",
        f"serial_number={made[0].serial_hex[:12].upper()}",
        f"issuer=north-ca&holder={made[0].holder}&state=issued&domain=north",
    ):
        assert [each["id"] for each in call("GET", f"certificates/?{narrowed}", bo).data["results"]] == [
            str(made[0].id)
        ]
    assert call("GET", "certificates/?issuer=north-root&profile=device", bo).data["results"] == []


def test_a_certificate_shows_what_it_says(issue_device: IssueDevice) -> None:
    device = issue_device("pump-17")
    document = call("GET", f"certificates/{device.id}/", bo).data
    parsed = x509.load_pem_x509_certificate(document["certificate"].encode())
    assert document["serial_number"] == f"{parsed.serial_number:x}"
    assert (document["subject"], document["profile"], document["state"]) == ("CN=pump-17", "device", "issued")
    assert (document["revoked_at"], document["reason"]) == (None, None)
    assert document["chain"] == queries.find_issuer(slug="north-ca").chain_pem


def test_a_certificate_is_revoked_and_to_repeat_it_changes_nothing(issue_device: IssueDevice) -> None:
    device = issue_device("x")
    answer = call("POST", f"certificates/{device.id}/revoke/", body={"reason": "keyCompromise", "note": "stolen"})
    assert (answer.status_code, answer.data["state"], answer.data["reason"]) == (202, "revoked", "keyCompromise")
    again = call("POST", f"certificates/{device.id}/revoke/", body={"reason": "superseded"})
    assert again.data == answer.data
    operation = find_operation(operation=answer.data["operation"])
    assert operation is not None
    assert operation.action == "pki.certificate.revoked"
    assert Certificate.objects.get(id=device.id).note == "stolen"


def test_a_certificate_is_held_and_released(issue_device: IssueDevice) -> None:
    device = issue_device("x")
    held = call("POST", f"certificates/{device.id}/hold/", body={"note": "lost?"})
    assert (held.status_code, held.data["state"], held.data["reason"]) == (202, "held", "certificateHold")
    assert call("POST", f"certificates/{device.id}/hold/").data == held.data
    released = call("POST", f"certificates/{device.id}/release/", body={"note": "found"})
    assert (released.status_code, released.data["state"], released.data["revoked_at"]) == (202, "issued", None)
    assert codes(call("POST", f"certificates/{device.id}/release/")) == (409, "certificate-not-held")
    call("POST", f"certificates/{device.id}/hold/")
    assert call("POST", f"certificates/{device.id}/revoke/").data["reason"] == "unspecified"
    assert codes(call("POST", f"certificates/{device.id}/release/")) == (409, "certificate-not-held")


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "boredom"},
        {"reason": "removeFromCRL"},
        {"reason": "certificateHold"},
        {"note": "x" * 2_001},
        {"x": 1},
    ],
)
def test_a_wrong_body_revokes_nothing(body: dict[str, Any], issue_device: IssueDevice) -> None:
    device = issue_device("x")
    assert call("POST", f"certificates/{device.id}/revoke/", body=body).status_code == 400
    assert queries.get_certificate(id=device.id).state == "issued"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=W10", "cursor=WzFd", "serial_number=xyz"]
)
def test_wrong_parameters_are_refused(query: str, ca: Issuer) -> None:
    assert call("GET", f"certificates/?{query}").status_code == 400
    if "serial" not in query:
        assert call("GET", f"issuers/?{query}").status_code == 400


def test_reading_is_not_writing(ca: Issuer, issue_device: IssueDevice) -> None:
    device = issue_device("x")
    for tail in (
        "issuers/north-ca/crl/",
        *(f"certificates/{device.id}/{act}/" for act in ("revoke", "hold", "release")),
    ):
        assert codes(call("POST", tail, bo)) == (403, "insufficient-scope")


@pytest.mark.parametrize("holder", ["issuer:north-ca", "ocsp:north-ca"])
def test_a_ca_s_certificate_is_not_taken_out_of_trust_by_who_may_not_sign(holder: str, ca: Issuer) -> None:
    [found] = queries.certificates_of(holder=holder)
    for act in ("revoke", "hold", "release"):
        assert codes(call("POST", f"certificates/{found.id}/{act}/", revoker)) == (403, "insufficient-scope")
    assert queries.get_certificate(id=found.id).state == "issued"
    for act, state in (("hold", "held"), ("release", "issued"), ("revoke", "revoked")):
        assert call("POST", f"certificates/{found.id}/{act}/").data["state"] == state


def test_who_may_not_sign_revokes_devices_as_before(issue_device: IssueDevice) -> None:
    device = issue_device("x")
    for act, state in (("hold", "held"), ("release", "issued"), ("revoke", "revoked")):
        assert call("POST", f"certificates/{device.id}/{act}/", revoker).data["state"] == state


def test_signing_in_another_domain_is_not_enough(ca: Issuer) -> None:
    [found] = queries.certificates_of(holder="issuer:north-ca")
    here = DomainRef(id=NORTH, slug="north", scopes=revoker.scopes)
    signs_in_south = as_(ADA, here, DomainRef(id=SOUTH, slug="south", scopes=ALL))
    assert codes(call("POST", f"certificates/{found.id}/hold/", signs_in_south)) == (403, "insufficient-scope")


def test_another_domain_s_issuer_and_certificate_are_not_there(ca: Issuer, issue_device: IssueDevice) -> None:
    device = issue_device("x")
    for method, tail in (
        ("GET", "issuers/north-ca/"),
        ("POST", "issuers/north-ca/crl/"),
        ("GET", f"certificates/{device.id}/"),
        ("POST", f"certificates/{device.id}/revoke/"),
        ("POST", f"certificates/{device.id}/hold/"),
        ("POST", f"certificates/{device.id}/release/"),
    ):
        assert call(method, tail, cy).status_code == 404
    assert queries.get_certificate(id=device.id).state == "issued"
    for tail in ("issuers/", "certificates/", f"certificates/?holder={device.holder}", "certificates/?issuer=north-ca"):
        assert call("GET", tail, cy).data == {"results": [], "next": None, "approximate_count": 0}
    assert call("GET", "issuers/?domain=north", cy).status_code == 404


def test_what_never_was_is_not_there(ca: Issuer) -> None:
    assert codes(call("GET", "issuers/nobody/")) == (404, "issuer-unknown")
    assert codes(call("GET", f"certificates/{uuid4()}/")) == (404, "certificate-unknown")


@pytest.mark.parametrize("tail", ["issuers/", "certificates/", "issuers/north-ca/"])
def test_another_method_is_refused(tail: str, ca: Issuer) -> None:
    assert call("DELETE", tail).status_code in {403, 405}


def test_more_issuers_and_certificates_cost_no_more_queries(
    ca: Issuer, issue_device: IssueDevice, django_assert_max_num_queries: Any
) -> None:
    for name in ("a", "b", "c", "d"):
        issue_device(name)
        services.create_root(domain=NORTH, slug=f"r-{name}", common_name=name, actor=ADA, now=datetime.now(UTC))
    for tail in ("issuers/", "certificates/"):
        with django_assert_max_num_queries(3):
            assert len(call("GET", tail).data["results"]) >= 5
