"""A proof is good for one address, one request and one time, and by the certificate's own key alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from devices.core.client_cert import read_client_cert
from devices.core.proof import BadProof, Proof, verify_proof
from tests.cast import NOW
from tests.devices.jws import AUDIENCE, b64url, claims, sign, x5c
from tests.devices.openssl import ED25519, P256, P384, RSA2048, Workshop, openssl

IAT = int(NOW.timestamp())
P521 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521")
K256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1")


class Device:
    """A key with a self-signed certificate, and a request for its next key."""

    def __init__(self, workshop: Workshop, kind: tuple[str, ...] = P256) -> None:
        self.key = workshop.key(kind).path
        self.certificate = openssl("req", "-x509", "-key", self.key, "-subj", "/CN=pump")
        self.csr = workshop.csr()

    def proof(self, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        return sign(self.key, self.certificate, claims(self.csr, **{"iat": IAT, **changes}), **(header or {}))

    def check(self, token: str, **changes: Any) -> Proof:
        given: dict[str, Any] = {"audience": AUDIENCE, "csr": self.csr.encode(), "now": NOW, **changes}
        return verify_proof(token, **given)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(Workshop(tmp_path))


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("kind", [P256, P384, P521, RSA2048, ED25519])
def test_proof_of_each_kind_of_key_is_good(tmp_path: Path, kind: tuple[str, ...]) -> None:
    device = Device(Workshop(tmp_path), kind)
    proof = device.check(device.proof())
    assert [each.public_bytes(Encoding.PEM).decode() for each in proof.chain] == [device.certificate]
    assert proof.jti == f"j-{IAT}"
    assert proof.replay_until == NOW + timedelta(minutes=10)


def test_key_on_another_curve_proves_nothing(tmp_path: Path) -> None:
    device = Device(Workshop(tmp_path))
    other = Device(Workshop(tmp_path), K256)
    with pytest.raises(BadProof):
        device.check(sign(device.key, other.certificate, claims(device.csr, iat=IAT)))


def test_digest_may_be_of_text_or_der_in_hex_or_base64url(device: Device) -> None:
    octets = x509.load_pem_x509_csr(device.csr.encode()).public_bytes(Encoding.DER)
    for form in (device.csr.encode(), octets):
        digest = hashlib.sha256(form).digest()
        for text in (digest.hex(), b64url(digest)):
            assert device.check(device.proof(csr_sha256=text))


@pytest.mark.parametrize("late", [-300, -299.5, 0, 299, 300])
def test_clock_may_differ_by_five_minutes(device: Device, late: float) -> None:
    assert device.check(device.proof(iat=IAT + late))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example/api/v1/renew/"},
        {"aud": AUDIENCE.rstrip("/")},
        {"aud": [AUDIENCE]},
        {"aud": None},
        {"csr_sha256": "0" * 64},
        {"csr_sha256": ""},
        {"csr_sha256": None},
        {"csr_sha256": ["x"]},
        {"iat": IAT - 301},
        {"iat": IAT + 301},
        {"iat": None},
        {"iat": True},
        {"iat": str(IAT)},
        {"iat": float("nan")},
        {"iat": float("inf")},
        {"iat": 10**300},
        {"jti": ""},
        {"jti": None},
        {"jti": 5},
        {"jti": "x" * 129},
        {"jti": "a\0b"},
        {"jti": "\ud800"},
        {"jti": "a b"},
    ],
)
def test_proof_for_something_else_is_refused(device: Device, changes: dict[str, Any]) -> None:
    with pytest.raises(BadProof):
        device.check(device.proof(**changes))


def test_proof_for_another_request_is_refused(device: Device, tmp_path: Path) -> None:
    with pytest.raises(BadProof):
        device.check(device.proof(), csr=Workshop(tmp_path).csr().encode())


def test_proof_by_another_key_is_refused(device: Device, tmp_path: Path) -> None:
    thief = Workshop(tmp_path).key().path
    with pytest.raises(BadProof):
        device.check(sign(thief, device.certificate, claims(device.csr, iat=IAT)))


def test_payload_that_was_changed_is_refused(device: Device) -> None:
    head, payload, signature = device.proof().split(".")
    other = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"jti": "fresh"}
    with pytest.raises(BadProof):
        device.check(f"{head}.{b64url(json.dumps(other).encode())}.{signature}")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "ES384", "EdDSA", "ES256K", "", None, 5])
def test_algorithm_of_another_key_is_refused(device: Device, algorithm: Any) -> None:
    with pytest.raises(BadProof):
        device.check(device.proof(header={"alg": algorithm}))


def test_certificate_as_secret_of_a_mac_is_refused(device: Device) -> None:
    head = b64url(json.dumps({"alg": "HS256", "x5c": x5c(device.certificate)}).encode())
    text = f"{head}.{b64url(json.dumps(claims(device.csr, iat=IAT)).encode())}"
    public = openssl("x509", "-noout", "-pubkey", given=device.certificate.encode()).encode()
    mac = hmac.new(public, text.encode(), hashlib.sha256).digest()
    with pytest.raises(BadProof):
        device.check(f"{text}.{b64url(mac)}")


@pytest.mark.parametrize("chain", [None, [], "text", [5], ["!!"], ["AAAA"], [None], {"a": 1}, ["\ud800"], ["AAAA"] * 6])
def test_header_without_a_certificate_is_refused(device: Device, chain: Any) -> None:
    with pytest.raises(BadProof):
        device.check(device.proof(header={"x5c": chain}))


def test_certificate_of_a_version_that_there_is_not_is_refused(device: Device) -> None:
    [encoded] = x5c(device.certificate)
    der = base64.b64decode(encoded).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    eighth = base64.b64encode(der).decode()
    with pytest.raises(BadProof):
        device.check(device.proof(header={"x5c": [eighth]}))
    with pytest.raises(BadProof):
        read_client_cert(f":{eighth}:")


def test_unknown_critical_header_is_refused(device: Device) -> None:
    with pytest.raises(BadProof):
        device.check(device.proof(header={"crit": ["exp"], "exp": IAT}))


@pytest.mark.parametrize("payload", [[], "text", 5, None])
def test_payload_that_is_no_object_is_refused(device: Device, payload: Any) -> None:
    with pytest.raises(BadProof):
        device.check(sign(device.key, device.certificate, payload))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c", "ä.ö.ü", "e30.e30.e30", "e30..", "x" * 40_000, f"{b64url(b'[' * 20_000)}.e30.e30"],
)
def test_text_that_is_no_jws_is_refused(device: Device, token: str) -> None:
    with pytest.raises(BadProof):
        device.check(token)
