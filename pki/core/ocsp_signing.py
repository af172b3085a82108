"""Which of its algorithms a responder's key signs with, when the client has a preference (RFC 6960 4.4.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from pki.core import der
from pki.core.keys import SigningKey, algorithm_identifier, sign, signature_hash

_ECDSA: dict[bytes, hashes.HashAlgorithm] = {
    der.oid("1.2.840.10045.4.3.2"): hashes.SHA256(),
    der.oid("1.2.840.10045.4.3.3"): hashes.SHA384(),
    der.oid("1.2.840.10045.4.3.4"): hashes.SHA512(),
}
_RSA: dict[bytes, hashes.HashAlgorithm] = {
    der.oid("1.2.840.113549.1.1.11"): hashes.SHA256(),
    der.oid("1.2.840.113549.1.1.12"): hashes.SHA384(),
    der.oid("1.2.840.113549.1.1.13"): hashes.SHA512(),
}
_NULL = der.tlv(der.NULL)


@dataclass(frozen=True, slots=True)
class Signing:
    """An AlgorithmIdentifier in DER, and what makes a signature under it over octets."""

    algorithm: bytes
    sign: Callable[[bytes], bytes]


def choose_signing(key: SigningKey, preferred: Sequence[bytes] = ()) -> Signing:
    """The first of the OIDs in `preferred` (DER) that the key can do; what the key always does if it can none."""
    for oid in preferred:
        if isinstance(key, ec.EllipticCurvePrivateKey) and oid in _ECDSA:
            return Signing(der.sequence(oid), _ecdsa(key, _ECDSA[oid]))
        if isinstance(key, rsa.RSAPrivateKey) and oid in _RSA:
            return Signing(der.sequence(oid, _NULL), partial(_sign_rsa, key, _RSA[oid]))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return Signing(algorithm_identifier(key), _ecdsa(key, signature_hash(key) or hashes.SHA256()))
    return Signing(algorithm_identifier(key), partial(sign, key))


def _ecdsa(key: ec.EllipticCurvePrivateKey, algorithm: hashes.HashAlgorithm) -> Callable[[bytes], bytes]:
    """Signs without making the algorithm's objects anew each time."""
    return partial(key.sign, signature_algorithm=ec.ECDSA(algorithm))


def _sign_rsa(key: rsa.RSAPrivateKey, algorithm: hashes.HashAlgorithm, octets: bytes) -> bytes:
    return key.sign(octets, padding.PKCS1v15(), algorithm)
