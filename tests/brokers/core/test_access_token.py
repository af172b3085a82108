"""A token is verified by other programs by the published key alone; nothing but what was signed here is read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jws
from joserfc.jwk import ECKey
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from brokers.core.access_token import (
    LEEWAY,
    MOST_OCTETS,
    AccessToken,
    TokenTooLarge,
    read_access_token,
    sign_access_token,
)
from brokers.core.emqx.rule import EmqxAction, EmqxRule
from brokers.core.token_keys import TokenKey, key_set, new_key
from tests.cast import NOW
from tests.devices.jws import b64url

ISSUER = "https://gatehouse.example"
KID, KEY = new_key()
PUBLISHED = key_set(
    [TokenKey(number=1, kid=KID, public_key=KEY.as_der(private=False), created_at=NOW, signs_from=NOW)]
)["keys"][0]
KEYS = {KID: ECKey.import_key(KEY.as_der(private=False))}
RULES = (
    EmqxRule(allow=True, action=EmqxAction.PUBLISH, topic="north/pump-1/up/#", qos=frozenset({0, 1}), retain=False),
    EmqxRule(allow=True, action=EmqxAction.SUBSCRIBE, topic="north/all/#", literal=True),
    EmqxRule(allow=False, action=EmqxAction.ALL, topic="#"),
)
TOKEN = AccessToken(
    domain="north",
    auth_id="pump-1",
    client_id="pump-1-mqtt",
    credential=UUID(int=7),
    epoch=3,
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=10),
    id="j-1",
    acl=RULES,
)
SIGNED = sign_access_token(TOKEN, issuer=ISSUER, kid=KID, key=KEY)


def read(text: str, **changes: Any) -> AccessToken | None:
    return read_access_token(text, **{"issuer": ISSUER, "keys": KEYS, "now": NOW, **changes})


def claims() -> dict[str, Any]:
    found = JWT(jwt=SIGNED, key=JWK(**PUBLISHED), algs=["ES256"], check_claims={"aud": "north", "exp": None})
    return dict(json.loads(found.claims))


def signed_by_hand(payload: dict[str, Any], *, key: ECKey = KEY, **header: Any) -> str:
    """By the very key, whatever it says."""

    head = {"alg": "ES256", "typ": "JWT", "kid": KID, **header}
    return jws.serialize_compact(
        {name: value for name, value in head.items() if value is not None},
        json.dumps(payload).encode(),
        key,
        registry=jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False),
    )


def test_another_library_reads_what_brokers_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jwcrypto.jwt.time.time", NOW.timestamp)
    assert claims() == {
        "iss": ISSUER,
        "sub": "pump-1",
        "aud": "north",
        "username": "pump-1",
        "client_id": "pump-1-mqtt",
        "iat": 1803902400,
        "nbf": 1803902400,
        "exp": 1803903000,
        "jti": "j-1",
        "credential": "00000000-0000-0000-0000-000000000007",
        "epoch": 3,
        "acl": [
            {"permission": "allow", "action": "publish", "topic": "north/pump-1/up/#", "qos": [0, 1], "retain": False},
            {"permission": "allow", "action": "subscribe", "topic": "eq north/all/#"},
            {"permission": "deny", "action": "all", "topic": "#"},
        ],
    }


def test_openssl_verifies_the_signature_with_the_published_key(tmp_path: Path) -> None:
    head, _, signature = SIGNED.rpartition(".")
    raw = _octets(signature)
    (tmp_path / "sig").write_bytes(encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:])))
    (tmp_path / "key").write_bytes(JWK(**PUBLISHED).export_to_pem())
    (tmp_path / "text").write_text(head)
    words = ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "sig", "text"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "Verified OK\n", done.stderr


def test_kid_is_the_thumbprint_of_rfc_7638() -> None:
    members = json.dumps({name: PUBLISHED[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    assert PUBLISHED["kid"] == b64url(hashlib.sha256(members.encode()).digest())
    assert JWK(**PUBLISHED).thumbprint() == PUBLISHED["kid"]
    assert "d" not in PUBLISHED


def test_what_was_signed_is_read_back_without_its_rules() -> None:
    assert read(SIGNED) == replace(TOKEN, acl=None)


@pytest.mark.parametrize(
    ("late", "good"),
    [(-LEEWAY.total_seconds() - 1, False), (-LEEWAY.total_seconds(), True), (0, True), (599, True), (600, False)],
)
def test_a_token_is_good_from_a_little_before_it_was_issued_until_it_ends(late: float, good: bool) -> None:
    assert (read(SIGNED, now=NOW + timedelta(seconds=late)) is not None) is good


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _changed(part: int) -> str:
    """The token with one octet of a part changed."""
    parts = SIGNED.split(".")
    octets = bytearray(_octets(parts[part]))
    octets[len(octets) // 2] ^= 1
    parts[part] = b64url(bytes(octets))
    return ".".join(parts)


def _head(**members: Any) -> str:
    return b64url(json.dumps({"typ": "JWT", "kid": KID, **members}).encode())


def _forged() -> dict[str, str]:
    _, payload, signature = SIGNED.split(".")
    symmetric = f"{_head(alg='HS256')}.{payload}"
    secret = JWK(**PUBLISHED).export_to_pem()
    body = json.loads(_octets(payload))
    other = ECKey.generate_key("P-256")
    return {
        "a changed header": _changed(0),
        "a changed payload": _changed(1),
        "a changed signature": _changed(2),
        "no signature": f"{_head(alg='none')}.{payload}.",
        "no algorithm's signature": f"{_head(alg='none')}.{payload}.{signature}",
        "HMAC with the public key": f"{symmetric}.{b64url(hmac.digest(secret, symmetric.encode(), 'sha256'))}",
        "HMAC with nothing": f"{symmetric}.{b64url(hmac.digest(b'', symmetric.encode(), 'sha256'))}",
        "another algorithm's name": f"{_head(alg='ES384')}.{payload}.{signature}",
        "a signature of zeros": f"{SIGNED.rpartition('.')[0]}.{b64url(bytes(64))}",
        "another key": signed_by_hand(body, key=other),
        "another key that it brings along": signed_by_hand(body, key=other, jwk=other.as_dict(private=False)),
        "a key that nobody knows": signed_by_hand(body, kid="unknown"),
        "no kid": signed_by_hand(body, kid=None),
        "a kid that is no text": signed_by_hand(body).replace(_x(), _head(alg="ES256", kid=[KID])),
        "no typ": signed_by_hand(body, typ=None),
        "another typ": signed_by_hand(body, typ="logout+jwt"),
        "two parts": SIGNED.rpartition(".")[0],
        "four parts": f"{SIGNED}.x",
        "no token": "eyJ",
        "letters that are none": "eyJ\N{SNOWMAN}.a.b",
        "too much": f"{SIGNED}{'A' * MOST_OCTETS}",
    }


def _x() -> str:
    return signed_by_hand({}).partition(".")[0]


@pytest.mark.parametrize("what", sorted(_forged()))
def test_nothing_else_is_a_token(what: str) -> None:
    assert read(_forged()[what]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"username": "pump-2"},
        {"nbf": 0},
        {"exp": "never"},
        {"exp": 10**30},
        {"iat": float("nan"), "nbf": float("nan")},
        {"credential": "x"},
        {"credential": 7},
    ],
)
def test_claims_of_another_form_are_none_of_ours(changes: dict[str, Any]) -> None:
    body = json.loads(_octets(SIGNED.split(".")[1]))
    assert read(signed_by_hand(body))
    assert read(signed_by_hand({**body, **changes})) is None
    for name in body.keys() - {"acl"}:
        assert read(signed_by_hand({key: value for key, value in body.items() if key != name})) is None


def test_a_payload_that_is_no_object_is_none_of_ours() -> None:
    payloads: list[Any] = [[], "x", 7, None, {}]
    for payload in payloads:
        assert read(signed_by_hand(payload)) is None


def test_more_rules_than_fit_are_refused_and_as_many_as_fit_are_read() -> None:
    def rules(count: int) -> tuple[EmqxRule, ...]:
        return tuple(EmqxRule(allow=True, action=EmqxAction.ALL, topic=f"t/{number:04}") for number in range(count))

    with pytest.raises(TokenTooLarge, match="acl=none"):
        sign_access_token(replace(TOKEN, acl=rules(110)), issuer=ISSUER, kid=KID, key=KEY)
    text = sign_access_token(replace(TOKEN, acl=rules(100)), issuer=ISSUER, kid=KID, key=KEY)
    assert MOST_OCTETS - 1_000 < len(text) <= MOST_OCTETS
    assert read(text)


def test_moments_are_whole_seconds() -> None:
    token = replace(TOKEN, issued_at=datetime(2027, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC), acl=None)
    found = read(sign_access_token(token, issuer=ISSUER, kid=KID, key=KEY))
    assert found
    assert found.issued_at == NOW
