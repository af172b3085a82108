"""Devices get tokens for what proves them, brokers can verify them by the key set, and decisions refuse ended ones."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import OperationalError
from django.test import Client
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT, JWTInvalidClaimValue
from pytest_django import Settings

from acl import services as acl
from acl.core.values import Action
from brokers import models, services
from brokers.core.access_token import MOST_OCTETS
from brokers.core.decide.decisions import Identity, Judgement, Login, Password
from brokers.core.decide.snippets import Dialect
from brokers.core.emqx.rule import rules_of
from brokers.core.values import BrokerId
from brokers.services.deciding import Decider
from brokers.services.decision_memory import DecisionMemory
from console.oauth import key_set
from devices import queries
from devices import services as devices
from devices.core.client_assertion import ASSERTION_TYPE
from devices.core.windows import Window
from devices.models import UsedProof
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from pki import services as pki
from pki.core.values import CertificateId, ReasonCode
from tests.brokers.fleet import PUMP_RULES, Enrolled, Fleet, allow
from tests.cast import ADA
from tests.console.conftest import basic
from tests.devices.jws import sign

pytestmark = pytest.mark.django_db
BASE = "http://127.0.0.1:8000"


@pytest.fixture
def fleet(db: None, tmp_path: Path, settings: Settings) -> Fleet:
    settings.GATEHOUSE_BASE_URL = BASE
    return Fleet(tmp_path)


@pytest.fixture
def pump(fleet: Fleet) -> Enrolled:
    return fleet.enroll("pump-1")


def assertion(device: Enrolled, **changes: Any) -> str:
    """What the device signs, as docs/howto/tokens.md says it."""
    name = f"{device.device.domain_slug}/{device.device.auth_id}"
    ends = utc_now().timestamp() + 60
    claims = {"iss": name, "sub": name, "aud": BASE, "exp": ends, "jti": str(uuid4()), **changes}
    [leaf, *_] = device.certificate.read_text().split("-----END CERTIFICATE-----\n")
    return sign(device.key, f"{leaf}-----END CERTIFICATE-----\n", claims)


def exchange(client: Client, device: Enrolled, *, signed: str = "", **form: str) -> Any:
    given = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed or assertion(device)}
    return client.post("/oauth/token/", {"grant_type": "client_credentials", **given, **form})


def token_of(client: Client, device: Enrolled, **form: str) -> str:
    answer = exchange(client, device, **form)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def claims_of(client: Client, token: str) -> dict[str, Any]:
    """What another library reads in the token by the published keys alone."""
    keys = JWKSet.from_json(client.get("/.well-known/jwks.json").content.decode())
    return dict(json.loads(JWT(jwt=token, key=keys, algs=["ES256"]).claims))


class Door:
    """A broker of the domain that asks over HTTP, in a process of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self.clock = 1_000.0
        row = models.Broker.objects.create(
            domain_id=fleet.domain.id, name=f"{fleet.domain.slug}-hall", kind="http-decisions", connection=b"",
            created_at=utc_now(),
        )  # fmt: skip
        self.decider = Decider(DecisionMemory(clock=lambda: self.clock))
        self.id = str(row.id)
        made = services.mint_decision_secret(broker=BrokerId(row.id), identity=Identity.SHOWN, actor=ADA, now=utc_now())
        self.secret = made.secret

    def lets_in(self, name: str, token: str, *, client_id: str | None = None, later: float = 0) -> bool:
        """Whether it does, a second after whatever happened before."""
        return self.judge(name, token, client_id=client_id, later=later).all_allowed

    def judge(self, name: str, token: str, *, client_id: str | None = None, later: float = 0) -> Judgement:
        self.clock += 1
        admitted = self.decider.admit(self.id, self.secret)
        assert admitted
        login = Login(username=name, client_id=client_id or name, password=Password(token))
        return self.decider.judge_afresh(
            *admitted, login, dialect=Dialect.EMQX, now=utc_now() + timedelta(seconds=later)
        )


@pytest.fixture
def door(fleet: Fleet) -> Door:
    return Door(fleet)


def test_a_device_gets_a_token_that_another_library_verifies_and_a_broker_takes(
    client: Client, fleet: Fleet, pump: Enrolled, door: Door
) -> None:
    before = int(utc_now().timestamp())
    answer = exchange(client, pump)
    document = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (document["token_type"], document.keys()) == ("Bearer", {"access_token", "token_type", "expires_in"})
    assert 599 <= document["expires_in"] <= 600
    token = document["access_token"]
    claims = claims_of(client, token)
    assert {name: claims[name] for name in ("iss", "aud", "sub", "username", "client_id")} == {
        "iss": BASE, "aud": "north", "sub": "pump-1", "username": "pump-1", "client_id": "pump-1",
    }  # fmt: skip
    assert claims["iat"] == claims["nbf"] <= utc_now().timestamp()
    assert before <= claims["iat"]
    assert claims["exp"] == claims["iat"] + 600
    allowed = {(each["action"], each["topic"]) for each in claims["acl"] if each["permission"] == "allow"}
    assert allowed >= {("publish", "north/pump-1/up/#"), ("subscribe", "north/all/#")}
    assert claims["acl"][-1] == {"permission": "deny", "action": "all", "topic": "#"}
    assert len(rules_of(claims["acl"])) == len(claims["acl"])
    judgement = door.judge("pump-1", token)
    assert judgement.until
    assert (judgement.allowed, judgement.until.timestamp()) == ((True,), claims["exp"])
    assert not door.lets_in("pump-1", token, client_id="pump-2")
    assert not door.lets_in("pump-1", token, later=601)
    assert not door.lets_in(fleet.enroll("pump-2").device.auth_id, token)


def test_a_token_of_one_domain_is_refused_in_another(
    client: Client, fleet: Fleet, pump: Enrolled, tmp_path: Path
) -> None:
    (tmp_path / "south").mkdir()
    south = Fleet(tmp_path / "south", slug="south")
    namesake = south.enroll("pump-1")
    token, door = token_of(client, pump), Door(south)
    assert not door.lets_in("pump-1", token)
    assert door.lets_in("pump-1", token_of(client, namesake))
    keys = JWKSet.from_json(client.get("/.well-known/jwks.json").content.decode())
    with pytest.raises(JWTInvalidClaimValue):
        JWT(jwt=token, key=keys, algs=["ES256"], check_claims={"aud": "south"})


def test_an_assertion_is_taken_once_and_of_its_own_certificate_alone(
    client: Client, fleet: Fleet, pump: Enrolled
) -> None:
    signed = assertion(pump)
    assert exchange(client, pump, signed=signed).status_code == 200
    again = exchange(client, pump, signed=signed)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert "used before" in again.json()["error_description"]
    for changes in (
        {"iss": "north/pump-2", "sub": "north/pump-2"},
        {"iss": "south/pump-1", "sub": "south/pump-1"},
        {"aud": "https://elsewhere.example"},
    ):
        refused = exchange(client, pump, signed=assertion(pump, **changes))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert exchange(client, pump, client_id="north/pump-2").status_code == 401
    assert UsedProof.objects.count() == 1


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"acl": "mosquitto"}, "acl=emqx"),
        ({"scope": "devices:read"}, "leave scope out"),
        ({"client_secret": "s"}, "in one way only"),
        ({"client_assertion_type": "urn:x"}, "client_assertion_type"),
    ],
)
def test_a_request_that_is_none_says_why(client: Client, pump: Enrolled, form: dict[str, str], says: str) -> None:
    answer = exchange(client, pump, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert says in answer.json()["error_description"]


def test_what_ends_a_device_ends_its_tokens_and_resuming_it_does_not_revive_them(
    client: Client, pump: Enrolled, door: Door
) -> None:
    token = token_of(client, pump)
    devices.suspend_device(device=pump.id, actor=ADA, now=utc_now())
    assert not door.lets_in("pump-1", token)
    refused = exchange(client, pump)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    devices.resume_device(device=pump.id, actor=ADA, now=utc_now())
    assert not door.lets_in("pump-1", token)
    fresh = token_of(client, pump)
    assert door.lets_in("pump-1", fresh)
    devices.end_tokens(device=pump.id, actor=ADA, now=utc_now())
    assert not door.lets_in("pump-1", fresh)
    assert door.lets_in("pump-1", token_of(client, pump))


def test_a_quarantined_device_has_a_token_with_the_rules_of_the_quarantine_role(
    client: Client, fleet: Fleet, pump: Enrolled
) -> None:
    rules = [allow(Action.SUBSCRIBE, "${domain}/help")]
    role = acl.create_role(domain=fleet.domain.id, name="cell", rules=rules, actor=ADA, now=utc_now())
    devices.set_quarantine_role(domain=fleet.domain.id, role=role.id, actor=ADA, now=utc_now())
    devices.quarantine_device(device=pump.id, actor=ADA, now=utc_now())
    found = claims_of(client, token_of(client, pump))["acl"]
    assert [each["topic"] for each in found if each["permission"] == "allow"] == ["north/help"]


def test_a_token_is_as_good_as_the_certificate_that_proved_the_device(
    client: Client, pump: Enrolled, door: Door
) -> None:
    token = token_of(client, pump)
    assert door.lets_in("pump-1", token)
    [credential] = queries.credentials_of(device=pump.id)
    _renew(pump)
    certificate = CertificateId(credential.certificate)
    pki.revoke_certificate(certificate=certificate, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    assert not door.lets_in("pump-1", token)
    refused = exchange(client, pump)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def _renew(pump: Enrolled) -> None:
    """Gives the device a second certificate, so that it stays admitted without the first."""
    chain = x509.load_pem_x509_certificates(pump.certificate.read_bytes())[:1]
    csr = pump.certificate.with_suffix(".csr").read_text()
    devices.renew_credential(chain=chain, csr=csr, address="192.0.2.1", now=utc_now())


def test_a_token_never_outlives_its_certificate_nor_the_policy_that_it_states(
    client: Client, fleet: Fleet, pump: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    role = acl.create_role(
        domain=fleet.domain.id, name="shift", rules=[allow(Action.PUBLISH, "shift")], actor=ADA, now=now
    )
    window = Window(not_before=None, not_after=now + timedelta(seconds=400))
    devices.bind_role(
        domain=fleet.domain.id, role=role.id, target=BindingTarget(device=pump.id), window=window, actor=ADA, now=now
    )
    assert 100 < exchange(client, pump).json()["expires_in"] <= 400
    assert exchange(client, pump, acl="none").json()["expires_in"] == 600
    [credential] = queries.credentials_of(device=pump.id)
    late = credential.not_after - timedelta(seconds=5)
    monkeypatch.setattr("console.oauth.device_tokens.utc_now", lambda: late)
    signed = assertion(pump, exp=late.timestamp() + 60)
    answer = exchange(client, pump, signed=signed, acl="none")
    assert answer.json()["expires_in"] == 5


def test_a_token_without_rules_has_no_acl_and_one_with_too_many_is_refused(
    client: Client, fleet: Fleet, pump: Enrolled
) -> None:
    assert "acl" not in claims_of(client, token_of(client, pump, acl="none"))
    fleet.change_role(*PUMP_RULES, *(allow(Action.PUBLISH, f"plant/line-{number}/state") for number in range(120)))
    refused = exchange(client, pump)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert f"{MOST_OCTETS} is the most" in refused.json()["error_description"]
    assert token_of(client, pump, acl="none")


def test_mutual_tls_counts_behind_a_trusted_proxy_alone(client: Client, pump: Enrolled, settings: Settings) -> None:
    der = x509.load_pem_x509_certificate(pump.certificate.read_bytes()).public_bytes(Encoding.DER)
    shown = {"Client-Cert": f":{base64.b64encode(der).decode()}:"}
    form = {"grant_type": "client_credentials", "client_id": "north/pump-1"}
    refused = client.post("/oauth/token/", form, headers=shown)
    assert refused.status_code == 401
    settings.GATEHOUSE_TRUSTED_PROXIES = [ip_network("127.0.0.1/32")]
    answer = client.post("/oauth/token/", form, headers=shown)
    assert answer.status_code == 200, answer.content
    assert claims_of(client, answer.json()["access_token"])["sub"] == "pump-1"
    other = client.post("/oauth/token/", {**form, "client_id": "north/pump-2"}, headers=shown)
    assert (other.status_code, other.json()["error"]) == (401, "invalid_client")
    nameless = client.post("/oauth/token/", {"grant_type": "client_credentials"}, headers=shown)
    assert (nameless.status_code, nameless.json()["error"]) == (400, "invalid_request")
    with_secret = client.post("/oauth/token/", {**form, "client_secret": "s"}, headers=shown)
    assert with_secret.status_code == 401  # it is an application's, and there is none of that name


def test_a_password_is_exchanged_until_it_ends_and_its_tokens_with_it(
    client: Client, fleet: Fleet, pump: Enrolled, door: Door
) -> None:
    made = devices.issue_password(device=pump.id, actor=ADA, now=utc_now())
    form = {"grant_type": "client_credentials"}

    def ask(name: str, password: str, **more: str) -> Any:
        return client.post("/oauth/token/", {**form, **more}, headers=basic(name, password))

    answer = ask("north%2Fpump-1", made.text)
    assert answer.status_code == 200, answer.content
    token = answer.json()["access_token"]
    assert claims_of(client, token)["credential"] == str(made.password.id)
    assert not door.lets_in("pump-1", token)  # the broker takes no passwords, nor what was got for one
    services.take_passwords(broker=BrokerId(UUID(door.id)), taken=True, actor=ADA, now=utc_now())
    assert door.lets_in("pump-1", token)
    posted = client.post("/oauth/token/", {**form, "client_id": "north/pump-1", "client_secret": made.text})
    assert posted.status_code == 200
    answers = [
        ask("north/pump-1", "wrong"),
        ask("north/nobody", made.text),
        ask("south/pump-1", made.text),
        ask("north/pump-1", ""),
        ask("north/\0", made.text),
    ]
    assert {(each.status_code, each.content) for each in answers} == {(401, answers[0].content)}
    assert ask("north/pump-1", made.text, client_id="north/pump-2").status_code == 400
    both = {**form, "client_id": "north/pump-1", "client_secret": made.text}
    assert client.post("/oauth/token/", both, headers={"Authorization": "Bearer x"}).status_code == 401
    devices.revoke_password(device=pump.id, password=made.password.id, actor=ADA, now=utc_now())
    assert ask("north/pump-1", made.text).status_code == 401
    assert not door.lets_in("pump-1", token)
    assert door.lets_in("pump-1", token_of(client, pump))


def test_guesses_are_counted_and_bad_signatures_of_one_device_hinder_no_other(
    client: Client, fleet: Fleet, pump: Enrolled
) -> None:
    for _ in range(60):
        assert exchange(client, pump, signed="eyJ.a.b").status_code == 401
    assert exchange(client, pump).status_code == 200
    form, wrong = {"grant_type": "client_credentials"}, basic("north/pump-1", "wrong")
    answers = [client.post("/oauth/token/", form, headers=wrong).status_code for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2


def test_replaced_keys_end_every_token_and_leave_the_key_set(
    client: Client, fleet: Fleet, pump: Enrolled, door: Door
) -> None:
    token = token_of(client, pump)
    [known] = json.loads(client.get("/.well-known/jwks.json").content)["keys"]
    fresh = services.replace_token_keys(
        domains=[fleet.domain.id], actor=ADA, now=utc_now(), note="the backup was stolen"
    )
    [key] = json.loads(client.get("/.well-known/jwks.json").content)["keys"]
    assert known["kid"] != key["kid"] == fresh.kid
    assert not door.lets_in("pump-1", token)
    assert door.lets_in("pump-1", token_of(client, pump))


def test_the_key_set_may_be_kept_for_a_minute_and_is_there_while_the_database_is_away(
    client: Client, pump: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_of(client, pump)
    first = client.get("/.well-known/jwks.json")
    assert first.headers["Cache-Control"] == "public, max-age=60"
    [key] = first.json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    same = client.get("/.well-known/jwks.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert client.post("/.well-known/jwks.json").status_code == 405

    def fail() -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(key_set, "list_token_keys", fail)
    assert client.get("/.well-known/jwks.json").content == first.content
    monkeypatch.setattr(key_set, "ALONE_SECONDS", -1.0)
    with pytest.raises(OperationalError):
        client.get("/.well-known/jwks.json")


def test_the_lines_of_the_howto_make_an_assertion_that_is_taken(
    client: Client, pump: Enrolled, tmp_path: Path, settings: Settings
) -> None:
    lines = (settings.BASE_DIR / "docs/howto/tokens.md").read_text().split("```python\n")[1].split("```")[0]
    program = tmp_path / "assertion.py"
    program.write_text(lines)
    words: list[str | Path] = [sys.executable, program, BASE, "north/pump-1", pump.certificate, pump.key]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert exchange(client, pump, signed=done.stdout.strip()).status_code == 200


def test_metadata_names_what_devices_may_do(client: Client, fleet: Fleet) -> None:
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert document["jwks_uri"] == f"{BASE}/.well-known/jwks.json"
    assert {"private_key_jwt", "tls_client_auth"} <= set(document["token_endpoint_auth_methods_supported"])
    assert "none" not in document["token_endpoint_auth_signing_alg_values_supported"]
    assert document["grant_types_supported"] == ["client_credentials"]
