"""Checking signatures that our issuers made, without a copy of what they are over."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa


def is_signed_by(public_key: Any, *, signature: bytes, octets: bytes | memoryview) -> bool:
    """Whether the signature over `octets` is this key's, by the algorithm that goes with it (core/keys.py)."""
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            is_p384 = public_key.curve.key_size == 384
            public_key.verify(signature, octets, ec.ECDSA(hashes.SHA384() if is_p384 else hashes.SHA256()))
        elif isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, octets, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[arg-type]  # any buffer
        else:
            public_key.verify(signature, octets)
    except InvalidSignature:
        return False
    return True
