"""Proof of the current key, for a renewal or a token: a compact JWS (RFC 7515) by it, with its certificate in `x5c`."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from kernel.core.errors import Unauthenticated

SKEW = timedelta(minutes=5)
MAX_OCTETS = 32_768
MAX_CHAIN = 5
ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA", "Ed25519")
"""Those of a proof; which of them is good is told by the certificate's key."""


class _Registry(JWSRegistry):
    """Lets the header hold a chain of certificates, and the signature be of an RSA key of 8192 bits."""

    max_header_length = MAX_OCTETS
    max_payload_length = 4_096
    max_signature_length = 2_048


_JTI = re.compile(r"[\x21-\x7e]{1,128}")


class BadProof(Unauthenticated):
    """The proof does not prove possession of the certificate's key for this request."""

    code = "bad-proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof whose signature, audience and time were checked. `jti` must not be seen twice within `replay_until`."""

    chain: tuple[x509.Certificate, ...]
    jti: str
    replay_until: datetime


def verify_proof(token: str, *, audience: str, csr: bytes, now: datetime) -> Proof:
    """The proof for this URL, this request and this time. Whether the certificate is ours is not asked here.

    `csr` is a request in PEM or DER that was inspected before. Raises BadProof.
    """
    chain, claims = read_signed(token)
    return _check_claims(claims, chain, audience=audience, csr=csr, now=now)


def read_signed(token: str) -> tuple[tuple[x509.Certificate, ...], object]:
    """The certificates in `x5c`, and the payload, which the key of the first one has signed. Raises BadProof."""
    if len(token) > MAX_OCTETS:
        raise BadProof("The proof is too large: send one certificate, or a short chain, in x5c.")
    try:
        found = jws.extract_compact(token.encode(), registry=_Registry())
        chain = _chain(found.headers().get("x5c"))
        algorithms, key = _key(chain[0])
        payload = jws.deserialize_compact(token, key, registry=_Registry(algorithms=algorithms)).payload
        return chain, json.loads(payload)
    except (
        JoseError, ValueError, KeyError, TypeError, UnsupportedAlgorithm, RecursionError, x509.InvalidVersion,
    ) as error:  # fmt: skip
        raise BadProof("The proof is no JWS by the key of the certificate in its x5c header: sign it anew.") from error


def _chain(encoded: object) -> tuple[x509.Certificate, ...]:
    if not isinstance(encoded, list) or not 1 <= len(encoded) <= MAX_CHAIN:
        raise ValueError("x5c")
    return tuple(x509.load_der_x509_certificate(base64.b64decode(each, validate=True)) for each in encoded)


def _key(certificate: x509.Certificate) -> tuple[list[str], ECKey | RSAKey | OKPKey]:
    """The algorithms that go with the certificate's key (RFC 7518 3.1, RFC 8037 3.1), and the key."""
    public_key = certificate.public_key()
    pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        algorithms = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
        return [algorithms[public_key.curve.name]], ECKey.import_key(pem)
    if isinstance(public_key, rsa.RSAPublicKey):
        return ["RS256", "PS256"], RSAKey.import_key(pem)
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return ["EdDSA", "Ed25519"], OKPKey.import_key(pem)
    raise ValueError("key")


def _check_claims(
    claims: object, chain: tuple[x509.Certificate, ...], *, audience: str, csr: bytes, now: datetime
) -> Proof:
    if not isinstance(claims, dict):
        raise BadProof("The proof's payload has to be a JSON object with aud, iat, jti and csr_sha256.")
    if claims.get("aud") != audience:
        raise BadProof(f"The proof is for another address: its aud has to be {audience}.")
    if claims.get("csr_sha256") not in _digests(csr):
        raise BadProof("The proof is for another request: csr_sha256 has to be the SHA-256 of the csr that is sent.")
    issued = claims.get("iat")
    if not is_number(issued) or abs(now.timestamp() - issued) > SKEW.total_seconds():
        raise BadProof("The proof's iat is not within five minutes of our time: set the clock, and sign it anew.")
    return Proof(
        chain=chain, jti=checked_jti(claims.get("jti")), replay_until=datetime.fromtimestamp(issued, UTC) + 2 * SKEW
    )


def checked_jti(jti: object) -> str:
    """The id by which the proof is known again. Raises BadProof."""
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise BadProof("The proof needs a jti of 1 to 128 visible ASCII characters that was never used before.")
    return jti


def _digests(csr: bytes) -> list[str]:
    """SHA-256 of the request as it was sent, and of its DER; each as hex and as base64url."""
    forms = [csr]
    if b"-----BEGIN" in csr:
        forms.append(x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER))
    digests = [hashlib.sha256(form).digest() for form in forms]
    return [text for each in digests for text in (each.hex(), base64.urlsafe_b64encode(each).decode().rstrip("="))]


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a NumericDate (RFC 7519 2)."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
