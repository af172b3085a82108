"""Every call of the contract, by curl and openssl, with the members that it promises."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import Enrolled, Fleet, House
from tests.e2e.user import KeyPair, curl, run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pump(fleet: Fleet) -> Enrolled:
    return fleet.enroll("contract-pump", attributes={"site": "north"}, hardware_serial="SN-1")


def test_quickstart_prints_its_facts_and_no_secret_twice(house: House) -> None:
    assert house.facts["domain"] == "default"
    assert {"username", "setup_url"} <= set(house.facts["operator"])
    assert (house.facts["role"], house.facts["enrolment_profile"]) == ("device-default", "default")
    assert house.facts["broker"] == "embedded"
    again = house.quickstart()
    assert again["issuer"] == house.facts["issuer"]
    assert not again["application"].get("client_secret")
    assert not again["operator"].get("setup_url")


def test_metadata_names_the_scopes(house: House) -> None:
    found = curl("GET", f"{house.url}/.well-known/oauth-authorization-server")
    assert "devices:read" in found.body["scopes_supported"]
    assert found.body["token_endpoint"].endswith("/oauth/token/")


def test_enrolment_answers_with_all_a_device_needs(pump: Enrolled, house: House) -> None:
    answer = pump.answer
    assert (answer["auth_id"], answer["client_id"]) == ("contract-pump", "contract-pump")
    assert answer["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    [broker] = [each for each in answer["brokers"] if each["name"] == "embedded"]
    assert broker == {
        "name": "embedded", "host": "127.0.0.1", "port": house.mqtt_port, "transport": "mqtts",
        "protocol_versions": ["3.1.1"],
    }  # fmt: skip
    wanted = [
        {"effect": "allow", "actions": ["publish"], "topic": "default/contract-pump/up/#"},
        {"effect": "allow", "actions": ["subscribe"], "topic": "default/contract-pump/down/#"},
        {"effect": "allow", "actions": ["subscribe"], "topic": "default/all/#"},
    ]
    assert sorted(answer["permissions"], key=str) == sorted(wanted, key=str)
    assert answer["renew_after"] < answer["not_after"]


def test_the_same_call_again_gives_the_same_answer(fleet: Fleet) -> None:
    pair = KeyPair(fleet.folder, "contract-again")
    token = fleet.application.mint_token(max_uses=1)
    first = fleet.send_csr(pair, token=token, name="contract-again")
    second = fleet.send_csr(pair, token=token, name="contract-again")
    assert (first.status, second.status) == (201, 201)
    assert first.body["certificate"] == second.body["certificate"]
    other = fleet.send_csr(KeyPair(fleet.folder, "contract-late"), token=token, name="contract-late")
    assert (other.status, other.body["code"]) == (403, "token-spent")


def test_renewal_by_a_proof_of_the_key_and_only_once(fleet: Fleet, house: House, tmp_path: Path) -> None:
    device = fleet.enroll("contract-renewed")
    following = KeyPair(tmp_path, "next")
    csr = following.csr.read_text()
    proof = sign_proof(device, csr, audience=f"{house.url}/api/v1/renew/", folder=tmp_path)
    options = ("-H", f"Authorization: Proof {proof}")
    answer = curl("POST", f"{house.url}/api/v1/renew/", sent={"csr": csr}, options=options)
    assert answer.status in {200, 201}, answer.text
    assert answer.body["certificate"] != device.answer["certificate"]
    replayed = curl("POST", f"{house.url}/api/v1/renew/", sent={"csr": csr}, options=options)
    assert (replayed.status, replayed.content_type) == (401, "application/problem+json")


def sign_proof(device: Enrolled, csr: str, *, audience: str, folder: Path) -> str:
    """A compact JWS that openssl signs: ES256 wants r and s as 32 octets each (RFC 7518 3.4)."""
    certificate = folder / "leaf.der"
    run("openssl", "x509", "-in", device.identity.certificate, "-outform", "DER", "-out", certificate)
    header = {"alg": "ES256", "x5c": [base64.b64encode(certificate.read_bytes()).decode()]}
    claims = {
        "aud": audience,
        "iat": int(time.time()),
        "jti": str(uuid.uuid4()),
        "csr_sha256": hashlib.sha256(csr.encode()).hexdigest(),
    }
    head = ".".join(_segment(json.dumps(part).encode()) for part in (header, claims))
    (folder / "head").write_text(head)
    run("openssl", "dgst", "-sha256", "-sign", device.identity.key, "-out", folder / "signature", folder / "head")
    listed = run("openssl", "asn1parse", "-inform", "DER", "-in", folder / "signature")
    numbers = [line.rpartition(":")[2].strip().zfill(64) for line in listed.splitlines() if "INTEGER" in line]
    return f"{head}.{_segment(bytes.fromhex(''.join(numbers)))}"


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_list_of_devices_filters_and_pages(fleet: Fleet, pump: Enrolled) -> None:
    found = fleet.application.call("GET", "devices/?state=active&attr.site=north&limit=100").body
    assert {"results", "next", "approximate_count"} <= set(found)
    assert [device["name"] for device in found["results"]] == ["contract-pump"]
    assert {"id", "name", "state"} <= set(found["results"][0])
    fleet.enroll("contract-second")
    first = fleet.application.call("GET", "devices/?limit=1").body
    second = fleet.application.call("GET", f"devices/?limit=1&cursor={first['next']}").body
    assert first["results"][0]["id"] != second["results"][0]["id"]


@pytest.mark.parametrize(
    ("action", "topic", "verdict"),
    [
        ("publish", "default/contract-pump/up/t", "allow"),
        ("publish", "default/other/up/t", "deny"),
        ("subscribe", "default/all/#", "allow"),
        ("subscribe", "$share/g/default/all/#", "allow"),
        ("subscribe", "#", "deny"),
    ],
)
def test_explain(fleet: Fleet, pump: Enrolled, action: str, topic: str, verdict: str) -> None:
    sent: dict[str, Any] = {"device": pump.id, "action": action, "topic": topic, "qos": 1}
    found = fleet.post("policy/explain/", sent | ({"retain": False} if action == "publish" else {}), status=200)
    assert found["verdict"] == verdict
    assert {"verdict", "reason", "rule", "binding", "considered", "brokers"} <= set(found)
    assert {"rule", "filter", "matches", "why"} <= set(found["considered"][0])
    assert all({"name", "enforced_as", "deviation"} <= set(broker) for broker in found["brokers"])


def test_who_can(fleet: Fleet, pump: Enrolled) -> None:
    sent = {"action": "publish", "topic": "default/contract-pump/up/t"}
    found = fleet.post("policy/who-can/", sent, status=200)
    assert json.dumps(found["devices"]["sample"]).count(pump.id) == 1
    assert found["devices"]["approximate_count"] == 1
    assert {"role", "rule", "binding"} <= set(found["grants"][0])


def test_roles_groups_bindings_and_unbinding(fleet: Fleet, pump: Enrolled) -> None:
    rule = {
        "effect": "allow", "actions": ["publish"], "topic": "${domain}/${client_id}/log/#", "qos": [0, 1],
        "retain": "never", "shared": "any",
    }  # fmt: skip
    assert fleet.post("roles/", {"name": "contract-role", "rules": [rule]}, status=201)["id"]
    assert fleet.post("groups/", {"name": "contract-group", "members": [pump.id]}, status=201)["id"]
    sent = {"role": "contract-role", "target": {"group": "contract-group"}}
    binding = fleet.post("bindings/", sent, status=201)["id"]
    asked = {"device": pump.id, "action": "publish", "topic": "default/contract-pump/log/x", "qos": 1, "retain": False}
    assert fleet.post("policy/explain/", asked, status=200)["verdict"] == "allow"
    assert fleet.application.call("DELETE", f"bindings/{binding}/").status == 204
    assert fleet.post("policy/explain/", asked, status=200)["verdict"] == "deny"


def test_embedded_broker_is_planned_and_rendered(fleet: Fleet, pump: Enrolled) -> None:
    plan = fleet.post("brokers/embedded/plan/", {}, status=200)
    assert {"plan", "steps", "deviations", "effect", "in_sync"} <= set(plan)
    assert {"gain", "lose"} <= set(plan["effect"])
    sent = {"plan": plan["plan"], "accept_deviations": []}
    operation = fleet.post("brokers/embedded/apply/", sent, status=202)["operation"]
    assert fleet.wait_operation(operation)["state"] == "done"
    assert "contract-pump" in fleet.application.call("GET", "brokers/embedded/rendering/").text


def test_broker_that_does_not_answer_is_a_problem_in_time(fleet: Fleet) -> None:
    connection = {"host": "127.0.0.1", "port": 9, "username": "u", "password": "do-not-show"}
    listeners = [{"host": "127.0.0.1", "port": 8885, "transport": "mqtts"}]
    sent = {"name": "silent", "kind": "mosquitto-dynsec", "connection": connection, "listeners": listeners}
    made = fleet.post("brokers/", sent, status=201)
    assert "do-not-show" not in json.dumps(made)
    began = time.monotonic()
    answer = fleet.application.call("POST", "brokers/silent/plan/", {})
    assert time.monotonic() - began < 45  # it gives up after 9
    assert (answer.status, answer.content_type) == (503, "application/problem+json")
    assert fleet.application.call("DELETE", "brokers/silent/").status == 204


def test_hold_and_release_of_a_certificate(fleet: Fleet) -> None:
    fleet.enroll("contract-held")
    listed = fleet.application.call("GET", "certificates/?limit=100").body["results"]
    [found] = [each for each in listed if "contract-held" in json.dumps(each)]
    assert {"id", "serial_number", "profile", "certificate"} <= set(found)
    assert found["serial_number"] == found["serial_number"].lower()
    for verb in ("hold", "release"):
        ordered = fleet.post(f"certificates/{found['id']}/{verb}/", {"note": "test"}, status=202)
        assert fleet.wait_operation(ordered["operation"])["state"] == "done"


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        ({"name": "a+b"}, "", 400),
        ({"name": "a/b"}, "", 400),
        ({"name": "a#b"}, "", 400),
        ({"name": "nul\u0000"}, "", 400),
        ({"name": "x" * 65}, "", 400),
        ({"name": "fine", "attributes": {"colour": "red"}}, "", 400),
        ({"name": "fine", "csr": "nonsense"}, "", 400),
        ({"name": "fine", "csr": "x" * 100_000}, "", 413),
        ({"name": "fine"}, "01a1fce4e4bf71118fe5047d90d7cf6f.wrong", 401),
        ({"name": "fine"}, "nonsense", 401),
    ],
)
def test_bad_enrolments_say_what_to_do(
    fleet: Fleet, tmp_path: Path, body: dict[str, Any], token: str, status: int
) -> None:
    pair = KeyPair(tmp_path, "bad")
    answer = fleet.send_csr(pair, token=token, **{"csr": pair.csr.read_text(), **body})
    assert answer.content_type == "application/problem+json"
    assert answer.status == status or (status == 413 and answer.status == 400), answer.text
    assert answer.body["detail"].endswith(".")
    assert fleet.application.call("GET", "devices/?name=fine").body["results"] == []
