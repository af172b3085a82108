"""What is taken from a request, and what no request gets past."""

from __future__ import annotations

import hashlib
import secrets
import subprocess
from math import gcd
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.core.errors import DomainError
from pki.core.csr import BadCsrSignature, MalformedCsr, WeakKey, inspect_csr
from pki.core.filling import AskedNames
from pki.core.roca import is_roca_modulus

MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA87PrivateKey


def request_of(key: object, *names: x509.NameAttribute[str]) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([*names]))
    hashless = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | MlDsaKey)
    return builder.sign(key, None if hashless else SHA256())  # type: ignore[arg-type]


def common_name(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


P256 = ec.generate_private_key(ec.SECP256R1())
GOOD = request_of(P256, common_name("pump-17")).public_bytes(Encoding.DER)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_name_and_key_are_taken_from_pem_and_der(encoding: Encoding) -> None:
    facts = inspect_csr(request_of(P256, common_name("pump-17")).public_bytes(encoding))
    spki = P256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (facts.common_name, facts.public_key_sha256) == ("pump-17", hashlib.sha256(spki).hexdigest())


@pytest.mark.parametrize("names", [(), (common_name("a"), common_name("b"))])
def test_a_request_without_one_common_name_asks_for_none(names: tuple[x509.NameAttribute[str], ...]) -> None:
    assert inspect_csr(request_of(P256, *names).public_bytes(Encoding.DER)).common_name is None


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65_537, 2048),
        mldsa.MLDSA44PrivateKey.generate(),
        mldsa.MLDSA87PrivateKey.generate(),
    ],
    ids=["p384", "p521", "ed25519", "rsa2048", "mldsa44", "mldsa87"],
)
def test_every_kind_that_is_promised_is_accepted(key: object) -> None:
    assert inspect_csr(request_of(key).public_bytes(Encoding.DER)).public_key_sha256


@pytest.mark.parametrize(
    "key",
    [
        ed448.Ed448PrivateKey.generate(),
        dsa.generate_private_key(2048),
        rsa.generate_private_key(3, 2048),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.SECP192R1()),
    ],
    ids=["ed448", "dsa", "rsa-e3", "secp256k1", "p192"],
)
def test_other_kinds_are_weak_and_the_error_says_what_to_use(key: object) -> None:
    with pytest.raises(WeakKey, match=r"65537|use ECDSA") as caught:
        inspect_csr(request_of(key).public_bytes(Encoding.DER))
    assert caught.value.code == "weak-key"


def test_a_changed_name_breaks_the_signature() -> None:
    with pytest.raises(BadCsrSignature) as caught:
        inspect_csr(GOOD.replace(b"pump-17", b"pump-18"))
    assert caught.value.code == "csr-signature"


def test_a_name_that_is_no_text_is_malformed() -> None:
    with pytest.raises(MalformedCsr) as caught:
        inspect_csr(GOOD.replace(b"pump-17", b"pump\xff17"))
    assert caught.value.code == "csr-malformed"


def test_a_version_that_there_is_not_is_malformed() -> None:
    version = GOOD.index(b"\x02\x01\x00")
    with pytest.raises(MalformedCsr):
        inspect_csr(GOOD[: version + 2] + b"\x07" + GOOD[version + 3 :])


@pytest.mark.parametrize("encoding", ["utf8only", "nombstr", "pkix"])
def test_names_of_every_string_type_are_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "cnf").write_text(
        f"[req]\nstring_mask={encoding}\ndistinguished_name=dn\nprompt=no\n[dn]\nC=DE\nCN=pump\n"
    )
    words = ["openssl", "req", "-new", "-newkey", "ed25519", "-nodes", "-config", "cnf", "-keyout", "k", "-out", "r"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    assert inspect_csr((tmp_path / "r").read_bytes()).common_name == "pump"


def test_the_alternative_names_that_openssl_asks_for_are_read(tmp_path: Path) -> None:
    names = "DNS:a.example,IP:192.0.2.7,IP:2001:db8::1,email:a@b.example,URI:urn:x:1,otherName:1.2.3;UTF8:x"
    words = ["openssl", "req", "-new", "-newkey", "ed25519", "-nodes", "-keyout", "k", "-out", "r", "-subj", "/CN=x"]
    subprocess.run([*words, "-addext", f"subjectAltName={names}"], cwd=tmp_path, check=True, capture_output=True)
    assert inspect_csr((tmp_path / "r").read_bytes()).asked == AskedNames(
        dns=("a.example",), ip=("192.0.2.7", "2001:db8::1"), email=("a@b.example",), uri=("urn:x:1",)
    )


def test_names_that_can_not_be_read_are_not_asked_for() -> None:
    junk = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"junk")
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(junk, critical=False)
    assert inspect_csr(builder.sign(P256, SHA256()).public_bytes(Encoding.DER)).asked == AskedNames()


def test_a_certificate_is_no_request() -> None:
    with pytest.raises(MalformedCsr):
        inspect_csr(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_request_is_refused_by_a_sentence(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(GOOD)
    for place, octet in changes:
        damaged[place] = octet
    assert code_of(bytes(damaged)) in {"csr-malformed", "csr-signature", "weak-key"} or bytes(damaged) == GOOD


def code_of(csr: bytes) -> str:
    try:
        inspect_csr(csr)
    except DomainError as error:
        return error.code if error.detail.endswith(".") else "no sentence"
    return "accepted"


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_are_refused_by_a_sentence(octets: bytes) -> None:
    with pytest.raises(MalformedCsr):
        inspect_csr(octets)


def test_a_key_made_as_the_broken_chip_made_them_is_found() -> None:
    """Nemec et al. 2017: p = k * M + (65537^a mod M), where M is the product of the first primes."""
    key = roca_key(1024)
    assert is_roca_modulus(key.public_key().public_numbers().n)
    with pytest.raises(WeakKey, match="ROCA"):
        inspect_csr(request_of(key).public_bytes(Encoding.DER))


def test_an_honest_key_is_not_taken_for_one() -> None:
    assert not any(is_roca_modulus(secrets.randbits(2048) | 1 << 2047 | 1) for _ in range(5_000))


def roca_key(bits: int) -> rsa.RSAPrivateKey:
    p, q, e = roca_prime(bits), roca_prime(bits), 65_537
    order = (p - 1) * (q - 1)
    while gcd(e, order) != 1 or p == q:
        q = roca_prime(bits)
        order = (p - 1) * (q - 1)
    d = pow(e, -1, order)
    public = rsa.RSAPublicNumbers(e, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()


def roca_prime(bits: int) -> int:
    primorial = 1
    for number in range(2, 702):  # the first 126 primes, as for keys of 2048 bits
        if all(number % below for below in range(2, int(number**0.5) + 1)):
            primorial *= number
    while True:
        base = pow(65_537, secrets.randbelow(primorial), primorial)
        candidate = ((1 << bits) - 1 - secrets.randbits(bits - 2)) // primorial * primorial + base
        if candidate.bit_length() == bits and all(pow(witness, candidate - 1, candidate) == 1 for witness in (2, 3)):
            return candidate
