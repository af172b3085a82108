"""/api/v1/brokers/<name>/server-certificate/ and /trust-bundle/."""

from __future__ import annotations

from cryptography import x509

from brokers import models
from kernel.core.clock import utc_now
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import Fleet, make_request

PATH = "brokers/hall-7/server-certificate/"


def register(fleet: Fleet, *hosts: str) -> None:
    listeners = [{"host": host, "port": 8883, "transport": "mqtts"} for host in hosts]
    models.Broker.objects.create(
        domain_id=fleet.domain.id, name="hall-7", kind="emqx", connection=b"", listeners=listeners, created_at=utc_now()
    )


def test_certificate_comes_from_a_request_and_the_bundle_verifies_it(api: Api, fleet: Fleet) -> None:
    register(fleet, "mq.example")
    csr = make_request(fleet.folder, "mq")[1].read_text()
    assert api.get(PATH).json() == {"certificate": None}

    made = api.post(PATH, {"csr": csr})

    assert made.status_code == 201, made.content
    assert api.get(PATH).json() == made.json()
    leaf, *above = x509.load_pem_x509_certificates(made.json()["certificate"]["chain_pem"].encode())
    bundle = api.get("brokers/hall-7/trust-bundle/").json()
    assert [issuer["slug"] for issuer in bundle["issuers"]] == ["north-root", "north-ca"]
    assert above[0] in x509.load_pem_x509_certificates(bundle["pem"].encode())
    leaf.verify_directly_issued_by(above[0])
    staple = api.client.put(
        "/api/v1/brokers/hall-7/listener-profile/",
        {"staple_ocsp": True},
        content_type="application/json",
        headers={**api.headers, "If-Match": "*"},
    )
    assert staple.status_code == 200
    [file] = api.get("brokers/hall-7/configuration/").json()["files"]
    assert '/pki/north-ca/ocsp"' in file["text"], "the responder is that of who signed its certificate"


def test_who_may_name_hosts_may_not_have_them_certified(fleet: Fleet, caller: Caller) -> None:
    register(fleet, "bank.example")
    csr = make_request(fleet.folder, "mq")[1].read_text()

    refused = caller(fleet.domain.id, ["brokers:read", "brokers:write"]).post(PATH, {"csr": csr})

    assert refused.status_code == 403


def test_bad_request_and_broker_without_listeners_are_refused(api: Api, fleet: Fleet) -> None:
    register(fleet)
    csr = make_request(fleet.folder, "mq")[1].read_text()

    for body, code in [({}, 400), ({"csr": "x" * 20_001}, 400), ({"csr": csr}, 409)]:
        assert api.post(PATH, body).status_code == code
