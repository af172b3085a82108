"""Whether a public key can be trusted for the life of a certificate, as far as the key alone can say."""

from __future__ import annotations

from math import gcd, isqrt, prod

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from kernel.core.errors import Invalid
from pki.core.roca import is_roca_modulus
from pki.core.weak_keys import reason_if_weak

RSA_BITS = range(2048, 8193)
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
ADVICE = "use ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits."

MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
IssuablePublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | MlDsaPublicKey

_FERMAT_ROUNDS = 100
_SMALL_PRIMES = prod(n for n in range(2, 4_096) if all(n % below for below in range(2, isqrt(n) + 1)))
_LOW_ORDER = {
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
}
"""The y of Ed25519's points whose order divides 8, and two ways to write such a y beyond the field (RFC 8032 5.1)."""


class WeakKey(Invalid):
    """The public key can not be trusted for the life of a certificate."""

    code = "weak-key"


def check_key(public_key: PublicKeyTypes) -> IssuablePublicKey:
    """The key, if it is of a kind and size that certificates are issued for, and not known to be weak.

    That a point is on its curve was checked when the key was read. Raises WeakKey.
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if not isinstance(public_key.curve, CURVES):
            raise WeakKey(f"The curve {public_key.curve.name} is not accepted: {ADVICE}")
    elif isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa(public_key)
    elif isinstance(public_key, ed25519.Ed25519PublicKey):
        _check_ed25519(public_key)
    elif not isinstance(public_key, MlDsaPublicKey):
        raise WeakKey(f"A key of this kind is not accepted: {ADVICE}")
    if weakness := reason_if_weak(public_key):
        raise WeakKey(f"The key is not accepted: {weakness.words}. Make a new one, elsewhere.")
    return public_key


def _check_rsa(public_key: rsa.RSAPublicKey) -> None:
    if public_key.key_size not in RSA_BITS:
        raise WeakKey(f"An RSA key of {public_key.key_size} bits is not accepted: {ADVICE}")
    numbers = public_key.public_numbers()
    if numbers.e < 65_537 or numbers.e % 2 == 0 or numbers.e.bit_length() > 256:  # FIPS 186-5 A.1.1
        raise WeakKey(f"The RSA exponent {str(numbers.e)[:20]} is not accepted: make a key with exponent 65537.")
    if gcd(numbers.n, _SMALL_PRIMES) != 1:  # an even modulus too (SP 800-89 5.3.3)
        raise WeakKey("The RSA modulus has a small factor, so that anyone finds its private key: make a new key.")
    if _has_close_primes(numbers.n):
        raise WeakKey("The RSA key's primes are close to each other, so that anyone finds them: make a new key.")
    if is_roca_modulus(numbers.n):
        raise WeakKey("The RSA key has the ROCA weakness (CVE-2017-15361): make a new key outside of that chip.")


def _has_close_primes(modulus: int) -> bool:
    """Whether a few rounds of Fermat's method split the modulus (CVE-2022-26320)."""
    root = isqrt(modulus)
    root += root * root < modulus
    rest = root * root - modulus
    for _ in range(_FERMAT_ROUNDS):
        if rest & 0xF in {0, 1, 4, 9} and isqrt(rest) ** 2 == rest:
            return True
        rest += 2 * root + 1
        root += 1
    return False


def _check_ed25519(public_key: ed25519.Ed25519PublicKey) -> None:
    octets = public_key.public_bytes_raw()
    if octets[:31] + bytes((octets[31] & 0x7F,)) in _LOW_ORDER:
        raise WeakKey("The Ed25519 key is a point of low order, for which anyone can sign: make a new key.")
