"""Private keys in a hardware token, as subclasses of the library's classes: its builders sign with them unaware.

The digest is made here, and signed there. Whatever would need the key itself raises KeyStays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11 import Mechanism

from pki.core import der
from pki.core.keys import KeyStays

_DIGESTS: dict[str, tuple[Callable[..., Any], bytes]] = {
    "sha256": (hashlib.sha256, der.oid("2.16.840.1.101.3.4.2.1")),
    "sha384": (hashlib.sha384, der.oid("2.16.840.1.101.3.4.2.2")),
    "sha512": (hashlib.sha512, der.oid("2.16.840.1.101.3.4.2.3")),
}


class SignsInToken(Protocol):
    """What `TokenLink.sign` does."""

    def __call__(self, id: bytes, octets: bytes, mechanism: Mechanism) -> bytes: ...


class _Held:
    """That the key is in the token, by its CKA_ID."""

    def __init__(self, id: bytes, public_key: Any, sign: SignsInToken) -> None:
        self._id = id
        self._public_key = public_key
        self._sign = sign

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._id.hex()})"

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        del memo
        return self

    def public_key(self) -> Any:
        """Its public key."""
        return self._public_key

    def _stay(self, *_: Any, **__: Any) -> NoReturn:
        raise KeyStays("The key is in a hardware token, which signs with it and does not let it out.")

    private_numbers = private_bytes = private_bytes_raw = decrypt = exchange = _stay


class TokenEcKey(_Held, ec.EllipticCurvePrivateKey):
    """An ECDSA key in a token."""

    @property
    def curve(self) -> ec.EllipticCurve:
        """Its curve."""
        curve: ec.EllipticCurve = self._public_key.curve
        return curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self.curve.key_size

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA-Sig-Value in DER (RFC 3279 2.2.3) of the two numbers that the token gives side by side."""
        digest, _ = _digest(data, signature_algorithm.algorithm)
        raw = self._sign(self._id, digest, Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


class TokenRsaKey(_Held, rsa.RSAPrivateKey):
    """An RSA key in a token."""

    @property
    def key_size(self) -> int:
        """In bits."""
        size: int = self._public_key.key_size
        return size

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        """RSASSA-PKCS1-v1_5 over the DigestInfo (RFC 8017 9.2), which is the only padding of ours."""
        if not isinstance(padding, _PKCS1):
            raise UnsupportedAlgorithm("A key in a token signs with PKCS#1 version 1.5 padding.")
        digest, oid = _digest(data, algorithm)
        algorithm_der = der.sequence(oid, der.tlv(der.NULL))
        digest_info = der.sequence(algorithm_der, der.tlv(der.OCTET_STRING, digest))
        return self._sign(self._id, digest_info, Mechanism.RSA_PKCS)


class TokenEd25519Key(_Held, ed25519.Ed25519PrivateKey):
    """An Ed25519 key in a token, where there are such."""

    def sign(self, data: Any) -> bytes:
        """64 octets (RFC 8032 5.1.6)."""
        return self._sign(self._id, bytes(data), Mechanism.EDDSA)


_PKCS1 = padding.PKCS1v15


def _digest(octets: Any, algorithm: Any) -> tuple[bytes, bytes]:
    """The digest, and the OID in DER of what made it."""
    if isinstance(algorithm, Prehashed):
        raise UnsupportedAlgorithm("A key in a token takes what is to be signed, not its digest.")
    assert isinstance(algorithm, hashes.HashAlgorithm)
    if algorithm.name not in _DIGESTS:
        raise UnsupportedAlgorithm(f"A key in a token does not sign with {algorithm.name}.")
    make, oid = _DIGESTS[algorithm.name]
    return make(octets).digest(), oid
