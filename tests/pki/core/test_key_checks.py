"""Keys that no certificate is issued for, each made as the attack on it makes them."""

from __future__ import annotations

import secrets
from math import prod

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.core.csr import MalformedCsr, inspect_csr
from pki.core.key_checks import WeakKey, check_key

HONEST = rsa.generate_private_key(65_537, 2048)
N = HONEST.public_key().public_numbers().n


def rsa_key(modulus: int, exponent: int = 65_537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def next_prime(number: int) -> int:
    number |= 1
    while any(number % small == 0 for small in (3, 5, 7, 11, 13)) or pow(2, number - 1, number) != 1:
        number += 2
    return number


@pytest.mark.parametrize("factor", [2, 3, 751, 4_093])
def test_a_modulus_with_a_small_factor_is_refused(factor: int) -> None:
    rest = HONEST.private_numbers().p
    modulus = factor * rest * next_prime(secrets.randbits(2_048 - rest.bit_length() - factor.bit_length()) | 1 << 1_000)
    while modulus.bit_length() < 2_048:
        modulus *= 3
    with pytest.raises(WeakKey, match="small factor"):
        check_key(rsa_key(modulus))


def test_primes_that_are_close_are_found() -> None:
    """CVE-2022-26320: printers took the second prime right after the first."""
    first = HONEST.private_numbers().p
    modulus = first * next_prime(first + 2)
    with pytest.raises(WeakKey, match="close to each other"):
        check_key(rsa_key(modulus))
    with pytest.raises(WeakKey, match="close to each other"):
        check_key(rsa_key(first * first))


@pytest.mark.parametrize("exponent", [3, 17, 65_535, (1 << 256) + 1])
def test_an_exponent_outside_of_fips_186_is_refused(exponent: int) -> None:
    with pytest.raises(WeakKey, match="exponent"):
        check_key(rsa_key(N, exponent))


@pytest.mark.parametrize("bits", [1_024, 2_047, 8_193])
def test_a_modulus_of_another_size_is_refused(bits: int) -> None:
    with pytest.raises(WeakKey, match="bits"):
        check_key(rsa_key(1 << (bits - 1) | 1))


def test_honest_keys_are_accepted() -> None:
    for key in (
        HONEST,
        rsa.generate_private_key(65_537, 3_072),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        mldsa.MLDSA44PrivateKey.generate(),
        mldsa.MLDSA65PrivateKey.generate(),
        mldsa.MLDSA87PrivateKey.generate(),
    ):
        public = key.public_key()
        assert check_key(public) is public


P, D = 2**255 - 19, -121_665 * pow(121_666, -1, 2**255 - 19)
Point = tuple[int, int]


def add(one: Point, two: Point) -> Point:
    """Edwards addition, RFC 8032 5.1.4."""
    (x, y), (u, v) = one, two
    both = D * x * y * u * v
    return (x * v + u * y) * pow(1 + both, -1, P) % P, (y * v + x * u) * pow(1 - both, -1, P) % P


def decode(octets: bytes) -> Point:
    """RFC 8032 5.1.3, without its refusal of a y beyond the field."""
    y = int.from_bytes(octets, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return (x if x % 2 == octets[31] >> 7 or not x else P - x), y % P


def times_eight(point: Point) -> Point:
    for _ in range(3):
        point = add(point, point)
    return point


def low_order_keys() -> list[bytes]:
    """Every encoding of the eight points whose order divides 8: multiples of one of order 8, with either sign."""
    base, found = decode(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")), []
    point = base
    for _ in range(8):
        found += [(y | sign << 255).to_bytes(32, "little") for y in (point[1],) for sign in (0, 1)]
        point = add(point, base)
    return sorted({*found, *((y | sign << 255).to_bytes(32, "little") for y in (P, P + 1) for sign in (0, 1))})


def test_the_list_of_points_is_of_low_order() -> None:
    keys = low_order_keys()
    assert len(keys) == 14
    assert {times_eight(decode(key)) for key in keys} == {(0, 1)}


def test_an_ed25519_key_that_anyone_signs_for_is_refused() -> None:
    for octets in low_order_keys():
        with pytest.raises(WeakKey, match="low order"):
            check_key(ed25519.Ed25519PublicKey.from_public_bytes(octets))


@pytest.mark.parametrize(
    "point",
    [b"\x04" + bytes(64), b"\x04" + b"\x01" * 64, b"\x02" + b"\xff" * 32, b"\x00"],
    ids=["zero", "off the curve", "beyond the field", "of no form"],
)
def test_a_point_that_is_not_on_its_curve_is_no_key(point: bytes) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    octets = csr.public_bytes(Encoding.DER)
    good = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    point = point if len(point) == 65 else (point + bytes(64))[:65]
    with pytest.raises((MalformedCsr, WeakKey)):
        inspect_csr(octets.replace(good, point))


def test_small_primes_are_every_prime_up_to_4096() -> None:
    from pki.core.key_checks import _SMALL_PRIMES

    sieve = [n for n in range(2, 4_096) if all(n % below for below in range(2, n) if below * below <= n)]
    assert prod(sieve) == _SMALL_PRIMES
    assert len(sieve) == 564  # π(4096)
