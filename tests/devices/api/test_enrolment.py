"""The calls that devices make: enroll and renew."""

from __future__ import annotations

import base64
import ipaddress
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.cache import cache
from pytest_django import Settings
from redis.exceptions import RedisError

from devices import queries, services
from devices.core.ports import BrokerEndpoint
from devices.models import Device, EnrolmentRequest, EnrolmentToken
from devices.services.bindings import BindingTarget
from kernel.api.failures import MAX_FAILURES_OF_ADDRESS, MAX_FAILURES_OF_CLIENT, WINDOW_SECONDS, note_failure
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.ids import DomainId
from pki.core.values import ReasonCode
from tests.cast import ADA, NORTH
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory
from tests.devices.jws import AUDIENCE, claims, sign
from tests.devices.openssl import RSA1024, Key, Workshop, broken, openssl


class Directory:
    """Knows one broker."""

    def is_reserved(self, domain: DomainId, name: str) -> bool:
        """No name."""
        del domain, name
        return False

    def endpoints(self, domain: DomainId) -> list[BrokerEndpoint]:
        """Its listener."""
        assert domain == NORTH
        return [
            BrokerEndpoint(
                name="hall-7", host="mqtt.example", port=8883, transport="mqtts", protocol_versions=("3.1.1", "5.0")
            )
        ]


directory = Directory()


@pytest.fixture(autouse=True)
def _one_broker(settings: Settings) -> None:
    settings.GATEHOUSE_BROKER_DIRECTORY = f"{__name__}.directory"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def enroll(factory: Factory, anybody: Program, name: str = "pump-17", **changes: Any) -> Any:
    token = changes.pop("token", None) or factory.mint().token
    body = {"csr": factory.workshop.csr(), "name": name, **changes}
    return anybody.post("enroll/", body, **bearer(token))


@pytest.fixture
def key(workshop: Workshop) -> Key:
    return workshop.key()


@pytest.fixture
def enrolled(north: Factory, anybody: Program, key: Key) -> dict[str, Any]:
    answer = enroll(north, anybody, csr=key.csr())
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def test_answer_has_all_that_a_device_needs(north: Factory, anybody: Program) -> None:
    services.bind_role(
        domain=north.domain, role=north.role().id, target=BindingTarget(domain="north"), actor=ADA, now=north.now
    )
    answer = enroll(north, anybody, hardware_serial="SN-1", attributes={"site": "north"})
    assert answer.status_code == 201
    document = answer.json()
    assert set(document) == {
        "device", "auth_id", "client_id", "certificate", "chain", "trust_bundle", "not_after", "renew_after",
        "brokers", "permissions",
    }  # fmt: skip
    device = Device.objects.get()
    assert (document["device"], document["auth_id"], document["client_id"]) == (str(device.id), "pump-17", "pump-17")
    assert document["brokers"] == [
        {
            "name": "hall-7",
            "host": "mqtt.example",
            "port": 8883,
            "transport": "mqtts",
            "protocol_versions": ["3.1.1", "5.0"],
        }
    ]
    assert sorted(document["permissions"], key=str) == [
        {"effect": "allow", "actions": ["publish"], "topic": "north/pump-17/up/#"},
        {"effect": "allow", "actions": ["subscribe"], "topic": "north/pump-17/down/#"},
    ]
    assert document["certificate"].count("BEGIN CERTIFICATE") == document["chain"].count("BEGIN CERTIFICATE") == 1
    assert document["trust_bundle"].count("BEGIN CERTIFICATE") == 2


def test_times_are_those_of_the_certificate(enrolled: dict[str, Any]) -> None:
    said = openssl("x509", "-noout", "-dates", "-dateopt", "iso_8601", given=enrolled["certificate"].encode())
    begins, ends = (
        datetime.fromisoformat(line.partition("=")[2].replace(" ", "T", 1)) for line in said.split("\n")[:2]
    )
    assert enrolled["not_after"] == to_rfc3339(ends)
    exact = begins + (ends - begins) * 2 / 3
    assert abs(datetime.fromisoformat(enrolled["renew_after"]) - exact) < timedelta(seconds=1)


def test_same_call_again_gets_the_same_answer(north: Factory, anybody: Program, workshop: Workshop) -> None:
    token, csr = north.mint(uses=1).token, workshop.csr()
    first, again = (enroll(north, anybody, token=token, csr=csr) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()


def test_name_comes_from_the_request_where_it_is_left_out(north: Factory, anybody: Program, workshop: Workshop) -> None:
    answer = anybody.post("enroll/", {"csr": workshop.csr("pump-5")}, **bearer(north.mint().token))
    assert answer.json()["auth_id"] == "pump-5"


def test_what_waits_for_approval_says_when_to_come_back(
    north: Factory, anybody: Program, ada: Program, workshop: Workshop
) -> None:
    token, csr = north.mint("gate").token, workshop.csr()
    answers = [enroll(north, anybody, token=token, csr=csr) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json() == {"request": str(EnrolmentRequest.objects.get().id)}
    assert int(answers[0].headers["Retry-After"]) > 0
    assert ada.post(f"enrolment-requests/{answers[0].json()['request']}/approve/").status_code == 204
    assert enroll(north, anybody, token=token, csr=csr).status_code == 201


def test_what_was_denied_says_so(north: Factory, anybody: Program, ada: Program, workshop: Workshop) -> None:
    token, csr = north.mint("gate").token, workshop.csr()
    waiting = enroll(north, anybody, token=token, csr=csr).json()["request"]
    assert ada.post(f"enrolment-requests/{waiting}/deny/").status_code == 204
    problem(enroll(north, anybody, token=token, csr=csr), 403, "enrolment-denied")


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer x", "Bearer a.b", "Basic YTpi", "Bearer ä.ö"])
def test_without_a_token_of_ours_it_is_401(north: Factory, anybody: Program, workshop: Workshop, given: str) -> None:
    answer = anybody.post("enroll/", {"csr": workshop.csr()}, **({"Authorization": given} if given else {}))
    problem(answer, 401, "token-refused")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_access_token_of_an_application_enrols_nothing(ada: Program, workshop: Workshop) -> None:
    problem(ada.post("enroll/", {"csr": workshop.csr()}), 401, "token-refused")


def test_each_bad_token_has_its_own_problem(north: Factory, anybody: Program, workshop: Workshop) -> None:
    problem(enroll(north, anybody, token=north.mint().token[:-2] + "xx"), 401, "token-refused")
    spent = north.mint(uses=1).token
    assert enroll(north, anybody, "a", token=spent).status_code == 201
    problem(enroll(north, anybody, "b", token=spent), 403, "token-spent")
    expired = north.mint(seconds=1)
    EnrolmentToken.objects.filter(id=expired.id).update(expires_at=north.now - timedelta(seconds=1))
    problem(enroll(north, anybody, "b", token=expired.token), 403, "token-expired")
    elsewhere = north.mint(networks=["10.0.0.0/8"]).token
    problem(enroll(north, anybody, "b", token=elsewhere), 403, "token-network")
    assert [device.name for device in Device.objects.all()] == ["a"]


def test_wrong_tokens_have_to_wait_and_hold_up_no_neighbour(north: Factory, anybody: Program) -> None:
    minted = north.mint()
    guessed, other = f"{minted.id}.{'x' * 43}", f"{north.mint().id}.{'x' * 43}"
    for _ in range(MAX_FAILURES_OF_CLIENT):
        problem(enroll(north, anybody, token=guessed), 401, "token-refused")
    for token in (guessed, minted.token):
        answer = enroll(north, anybody, token=token)
        problem(answer, 429, "too-many-failures")
        assert answer.headers["Retry-After"] == str(WINDOW_SECONDS)
    for _ in range(MAX_FAILURES_OF_CLIENT, MAX_FAILURES_OF_ADDRESS - 1):
        note_failure(door="enroll", address="127.0.0.1")
    problem(enroll(north, anybody, token=other), 429, "too-many-failures")
    assert enroll(north, anybody, "pump-1").status_code == 201


def test_device_is_enrolled_where_nothing_can_be_counted(
    north: Factory, anybody: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise RedisError

    for name in ("get", "add", "incr"):
        monkeypatch.setattr(cache, name, away)
    problem(enroll(north, anybody, token=north.mint().token[:-2] + "xx"), 401, "token-refused")
    assert enroll(north, anybody).status_code == 201


def test_token_is_used_from_the_address_that_a_trusted_proxy_names(
    north: Factory, anybody: Program, settings: Settings
) -> None:
    token = north.mint(networks=["198.51.100.0/24"]).token
    body = {"csr": north.workshop.csr(), "name": "pump"}
    forged = {**bearer(token), "X-Forwarded-For": "198.51.100.7"}
    problem(anybody.post("enroll/", body, **forged), 403, "token-network")
    settings.GATEHOUSE_TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.1/32")]
    mixed = {**bearer(token), "X-Forwarded-For": "198.51.100.7, 203.0.113.9"}
    problem(anybody.post("enroll/", body, **mixed), 403, "token-network")
    assert anybody.post("enroll/", body, **forged).status_code == 201


@pytest.mark.parametrize("name", ["a+b", "a#b", "a/b", "x" * 65, "", "$SYS", " a ", "a\x01b"])
def test_bad_name_is_400_at_its_place(north: Factory, anybody: Program, name: str) -> None:
    document = problem(enroll(north, anybody, name), 400, "bad-name")
    assert [fault["pointer"] for fault in document["errors"]] == ["/name"]
    assert not Device.objects.exists()


@pytest.mark.parametrize("name", ["a\0b", "\ud800", ["a"], {"a": 1}, True, "x" * 600])
def test_name_that_is_no_text_is_400(north: Factory, anybody: Program, name: Any) -> None:
    answer = enroll(north, anybody, name)
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["pointer"] == "/name"
    assert not Device.objects.exists()


def test_bad_requests_are_400(north: Factory, anybody: Program, workshop: Workshop) -> None:
    problem(enroll(north, anybody, csr=broken(workshop.csr())), 400, "csr-signature")
    problem(enroll(north, anybody, csr="nonsense"), 400, "csr-malformed")
    problem(enroll(north, anybody, csr=workshop.csr(kind=RSA1024)), 400, "weak-key")
    for csr in (None, 5, "", "\0", "x" * 20_001):
        assert enroll(north, anybody, csr=csr).status_code == 400
    assert not Device.objects.exists()


def test_key_of_another_device_is_409(north: Factory, anybody: Program, workshop: Workshop) -> None:
    csr = workshop.csr()
    assert enroll(north, anybody, "pump-1", csr=csr).status_code == 201
    problem(enroll(north, anybody, "pump-2", csr=csr), 409, "key-in-use")
    problem(enroll(north, anybody, "pump-1"), 409, "name-taken")
    assert Device.objects.count() == 1


@pytest.mark.parametrize(
    "attributes", [{"colour": "red"}, {"site": 5}, {"site": "\0"}, {"site": "\ud800"}, {"\ud800": 1}, [], "x", 5]
)
def test_bad_attributes_are_400(north: Factory, anybody: Program, attributes: Any) -> None:
    answer = enroll(north, anybody, attributes=attributes)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"].startswith("/attributes")
    assert not Device.objects.exists()


def test_member_that_nobody_knows_is_400(north: Factory, anybody: Program) -> None:
    document = problem(enroll(north, anybody, serial="SN"), 400, "invalid")
    assert document["errors"][0]["pointer"] == "/serial"


@pytest.mark.parametrize("body", ["", "{", "[]", "5", "null", '"x"', "[" * 30_000, '{"csr": NaN}'])
def test_body_that_is_no_object_is_400(north: Factory, anybody: Program, body: str) -> None:
    answer = anybody.post("enroll/", body, **bearer(north.mint().token))
    assert answer.status_code == 400, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["enroll/", "renew/"])
def test_body_above_64_kib_is_413(north: Factory, anybody: Program, path: str) -> None:
    problem(anybody.post(path, {"csr": "x" * 65_536}, **bearer(north.mint().token)), 413, "too-large")


@pytest.mark.parametrize("path", ["enroll/", "renew/"])
def test_other_types_and_methods_are_refused(north: Factory, anybody: Program, path: str) -> None:
    form = anybody.client.post(f"/api/v1/{path}", {"csr": "x"}, headers=bearer(north.mint().token))
    problem(form, 415, "unsupported-media-type")
    problem(anybody.get(path), 405, "method-not-allowed")


def renew(anybody: Program, key: Key, shown: dict[str, Any], csr: str, **changes: Any) -> Any:
    body = {"csr": csr}
    proof = sign(key.path, shown["certificate"], claims(csr, **{"iat": utc_now().timestamp(), **changes}))
    return anybody.post("renew/", body, Authorization=f"Proof {proof}")


def test_renewal_by_proof_gives_what_enrolment_gave(
    anybody: Program, key: Key, enrolled: dict[str, Any], workshop: Workshop
) -> None:
    answer = renew(anybody, key, enrolled, workshop.csr())
    assert answer.status_code == 201, answer.content
    document = answer.json()
    assert set(document) == set(enrolled)
    assert document["device"] == enrolled["device"]
    assert document["certificate"] != enrolled["certificate"]


def test_proof_shown_twice_is_refused(anybody: Program, key: Key, enrolled: dict[str, Any], workshop: Workshop) -> None:
    csr = workshop.csr()
    now = utc_now().timestamp()
    assert renew(anybody, key, enrolled, csr, iat=now, jti="one").status_code == 201
    problem(renew(anybody, key, enrolled, csr, iat=now, jti="one"), 401, "bad-proof")
    assert renew(anybody, key, enrolled, csr, iat=now, jti="two").status_code == 201
    assert len(queries.credentials_of(device=Device.objects.get().id)) == 2  # type: ignore[arg-type]


def test_proof_for_another_address_names_ours(
    anybody: Program, key: Key, enrolled: dict[str, Any], workshop: Workshop
) -> None:
    document = problem(renew(anybody, key, enrolled, workshop.csr(), aud="https://x/"), 401, "bad-proof")
    assert AUDIENCE in document["detail"]


def test_renewal_without_proof_is_401(
    north: Factory, ada: Program, anybody: Program, enrolled: dict[str, Any], workshop: Workshop
) -> None:
    body = {"csr": workshop.csr()}
    problem(anybody.post("renew/", body), 401, "proof-required")
    problem(ada.post("renew/", body), 401, "proof-required")
    problem(anybody.post("renew/", body, **bearer(north.mint().token)), 401, "proof-required")
    problem(anybody.post("renew/", body, Authorization="Proof x.y.z"), 401, "bad-proof")


def test_renewal_of_a_revoked_device_is_403(
    north: Factory, anybody: Program, key: Key, enrolled: dict[str, Any], workshop: Workshop
) -> None:
    device = queries.list_devices(domains=[north.domain]).devices[0].id
    services.suspend_device(device=device, actor=ADA, now=north.now)
    problem(renew(anybody, key, enrolled, workshop.csr()), 403, "device-state")
    services.revoke_device(device=device, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=north.now)
    problem(renew(anybody, key, enrolled, workshop.csr()), 403, "certificate-revoked")


def client_cert(pem: str) -> str:
    """The header of RFC 9440."""
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    return f":{base64.b64encode(der).decode()}:"


def test_certificate_that_a_proxy_saw_counts_from_a_trusted_proxy_alone(
    anybody: Program, enrolled: dict[str, Any], workshop: Workshop, settings: Settings
) -> None:
    body, header = {"csr": workshop.csr()}, {"Client-Cert": client_cert(enrolled["certificate"])}
    problem(anybody.post("renew/", body, **header), 401, "proof-required")
    settings.GATEHOUSE_TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.1/32")]
    assert anybody.post("renew/", body, **header).status_code == 201
    forged = {**header, "X-Forwarded-For": "203.0.113.9"}
    assert anybody.post("renew/", body, **forged).status_code == 201


def test_header_of_a_secret_name_takes_the_place_of_the_well_known_one(
    anybody: Program, enrolled: dict[str, Any], workshop: Workshop, settings: Settings
) -> None:
    settings.GATEHOUSE_TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.1/32")]
    settings.GATEHOUSE_CLIENT_CERT_HEADER = "Client-Cert-6d1f0c"
    body, seen = {"csr": workshop.csr()}, client_cert(enrolled["certificate"])
    problem(anybody.post("renew/", body, **{"Client-Cert": seen}), 401, "proof-required")
    assert anybody.post("renew/", body, **{"Client-Cert-6d1f0c": seen}).status_code == 201


@pytest.mark.parametrize("header", ["", ":", "::", "x", ":x:", ":AAAA:", ":ä:", "AAAA", "-----BEGIN CERTIFICATE-----"])
def test_header_that_is_no_certificate_is_401(
    north: Factory, anybody: Program, workshop: Workshop, settings: Settings, header: str
) -> None:
    settings.GATEHOUSE_TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.1/32")]
    problem(anybody.post("renew/", {"csr": workshop.csr()}, **{"Client-Cert": header}), 401, "bad-proof")
