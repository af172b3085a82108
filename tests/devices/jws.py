"""Proofs as a device makes them: signed by cryptography alone, put together by hand (RFC 7515 7.1)."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

AUDIENCE = "http://127.0.0.1:8000/api/v1/renew/"
_CURVES: dict[str, tuple[str, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("ES256", hashes.SHA256(), 32),
    "secp384r1": ("ES384", hashes.SHA384(), 48),
    "secp521r1": ("ES512", hashes.SHA512(), 66),
}


def b64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def x5c(pem: str) -> list[str]:
    """The certificates of the text, for the header."""
    found = x509.load_pem_x509_certificates(pem.encode())
    return [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in found]


def claims(csr: str, *, iat: float, **changes: Any) -> dict[str, Any]:
    """The payload for that request."""
    digest = hashlib.sha256(csr.encode()).hexdigest()
    return {"aud": AUDIENCE, "iat": iat, "jti": f"j-{iat}", "csr_sha256": digest, **changes}


def sign(key: Path, certificate: str, payload: Any, **header: Any) -> str:
    """A compact JWS by the key in that file."""
    private = load_pem_private_key(key.read_bytes(), None)
    algorithm, signer = _signer(private)
    head = {"alg": algorithm, "x5c": x5c(certificate), **header}
    text = f"{b64url(json.dumps(head).encode())}.{b64url(json.dumps(payload).encode())}"
    return f"{text}.{b64url(signer(text.encode()))}"


def _signer(private: Any) -> tuple[str, Any]:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        algorithm, digest, size = _CURVES[private.curve.name]

        def sign_ec(text: bytes) -> bytes:
            r, s = decode_dss_signature(private.sign(text, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")

        return algorithm, sign_ec
    if isinstance(private, rsa.RSAPrivateKey):
        return "RS256", lambda text: private.sign(text, padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    return "EdDSA", private.sign
