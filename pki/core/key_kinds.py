"""Which of our algorithms a public key is of."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pki.core.values import KeyAlgorithm

_BY_TYPE: tuple[tuple[type, str], ...] = (
    (ed25519.Ed25519PublicKey, "ed25519"),
    (mldsa.MLDSA44PublicKey, "ml-dsa-44"),
    (mldsa.MLDSA65PublicKey, "ml-dsa-65"),
    (mldsa.MLDSA87PublicKey, "ml-dsa-87"),
)


def kind_of(public_key: PublicKeyTypes) -> str:
    """A key as `rsa-2048`, `ecdsa-p521` and so on; at most 16 characters."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"ecdsa-p{public_key.curve.key_size}"
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"rsa-{public_key.key_size}"
    return next((name for kind, name in _BY_TYPE if isinstance(public_key, kind)), "other")


def algorithm_of(public_key: PublicKeyTypes) -> KeyAlgorithm | None:
    """The algorithm, or None if no issuer of ours may have such a key."""
    kind = kind_of(public_key)
    return KeyAlgorithm(kind) if kind in set(KeyAlgorithm) else None
