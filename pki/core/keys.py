"""Issuers' keys: making them, naming them, signing with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from kernel.core.errors import Invalid
from pki.core import der
from pki.core.values import KeyAlgorithm

_MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | _MlDsaKey
"""The library's classes, or subclasses of them for keys in a hardware token."""

_MAKERS: dict[KeyAlgorithm, Callable[[], SigningKey]] = {
    KeyAlgorithm.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyAlgorithm.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyAlgorithm.RSA_3072: lambda: rsa.generate_private_key(65_537, 3072),
    KeyAlgorithm.RSA_4096: lambda: rsa.generate_private_key(65_537, 4096),
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyAlgorithm.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyAlgorithm.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}

# AlgorithmIdentifiers: RFC 5758 3.2 (ECDSA, no parameters), RFC 4055 5 (RSA, NULL), RFC 8410 3 (Ed25519, none),
# RFC 9881 2 (ML-DSA, none)
_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_ECDSA_SHA384 = der.sequence(der.oid("1.2.840.10045.4.3.3"))
_RSA_SHA256 = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.tlv(der.NULL))
_ONE_WAY: tuple[tuple[type, bytes], ...] = (
    (ed25519.Ed25519PrivateKey, der.sequence(der.oid("1.3.101.112"))),
    (mldsa.MLDSA44PrivateKey, der.sequence(der.oid("2.16.840.1.101.3.4.3.17"))),
    (mldsa.MLDSA65PrivateKey, der.sequence(der.oid("2.16.840.1.101.3.4.3.18"))),
    (mldsa.MLDSA87PrivateKey, der.sequence(der.oid("2.16.840.1.101.3.4.3.19"))),
)


class KeyStays(Invalid):
    """The key is in a hardware token, which does not let it out."""

    code = "key-not-extractable"


def generate_key(algorithm: KeyAlgorithm) -> SigningKey:
    """A fresh private key."""
    return _MAKERS[algorithm]()


def key_to_der(key: SigningKey) -> bytes:
    """The key as unencrypted PKCS#8 DER: to be wrapped before it goes anywhere. Raises KeyStays."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def key_from_der(octets: bytes) -> SigningKey:
    """The key that unencrypted PKCS#8 DER holds, which has to come out of an envelope of ours.

    An RSA key is not checked for primes again, which takes a tenth of a second: the envelope says that it is ours.
    """
    key = load_der_private_key(octets, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, SigningKey):
        raise TypeError("a stored key of a kind that does not sign certificates")
    return key


def algorithm_identifier(key: SigningKey) -> bytes:
    """The DER of the AlgorithmIdentifier of a signature by this key."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _ECDSA_SHA384 if key.curve.key_size == 384 else _ECDSA_SHA256
    if isinstance(key, rsa.RSAPrivateKey):
        return _RSA_SHA256
    return next(identifier for kind, identifier in _ONE_WAY if isinstance(key, kind))


def signature_hash(key: SigningKey) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash that goes with the key; None for Ed25519 and ML-DSA, which have their own."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256()
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None


def sign(key: SigningKey, octets: bytes) -> bytes:
    """The signature over `octets`."""
    algorithm = signature_hash(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        assert algorithm is not None
        return key.sign(octets, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        assert algorithm is not None
        return key.sign(octets, padding.PKCS1v15(), algorithm)
    return key.sign(octets)


def wrap_signed(key: SigningKey, to_be_signed: bytes) -> bytes:
    """SEQUENCE of what is signed, the algorithm, and the signature: the shape of every signed thing of X.509."""
    return der.sequence(to_be_signed, algorithm_identifier(key), der.bit_string(sign(key, to_be_signed)))


def subject_public_key(public_key: PublicKeyTypes) -> bytes:
    """The octets inside the BIT STRING of the SubjectPublicKeyInfo."""
    spki = der.read_only(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    _, bits = spki.children()
    return bits.body[1:]


def key_identifier(public_key: PublicKeyTypes) -> bytes:
    """The leftmost 160 bits of SHA-256 over the public key (RFC 7093 2, method 1)."""
    return hashlib.sha256(subject_public_key(public_key)).digest()[:20]
