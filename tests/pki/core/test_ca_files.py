"""What operators bring is read in the time that its size warrants. `openssl` makes the files."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest

from pki.core.ca_files import (
    MAX_CERTIFICATES,
    ExpensiveKey,
    UnreadableCertificate,
    UnreadableKey,
    read_certificates,
    read_key,
    read_pkcs12,
)
from pki.core.der import integer, octet_string, read_only, sequence, tlv
from pki.core.derivation_costs import iterations
from tests.pki.conftest import openssl

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
MODEST, MANY = 600_000, 2**31 - 1
WORDS = "sesame"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds key.pem and certificate.pem."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Root",
            "-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem")  # fmt: skip
    return tmp_path


def pkcs8(folder: Path, *words: str) -> bytes:
    openssl("pkcs8", "-topk8", "-in", folder / "key.pem", "-passout", f"pass:{WORDS}", "-out", folder / "out", *words)
    return (folder / "out").read_bytes()


def pkcs12(folder: Path, *words: str) -> bytes:
    openssl("pkcs12", "-export", "-inkey", folder / "key.pem", "-in", folder / "certificate.pem",
            "-passout", f"pass:{WORDS}", "-out", folder / "out", *words)  # fmt: skip
    return (folder / "out").read_bytes()


def raised(octets: bytes, *, asked: int) -> bytes:
    """The file with 2^31-1 iterations where it has `asked`: such a one takes minutes to make."""
    return _longer(octets, integer(asked), integer(MANY))


def _longer(octets: bytes, old: bytes, new: bytes) -> bytes:
    """Replaced, and the lengths of all around it written anew."""
    element = read_only(octets)
    if element.encoded == old:
        return new
    if old not in element.body or not (element.tag & 0x20 or element.tag == 4):
        return element.encoded
    return tlv(element.tag, *(_longer(child.encoded, old, new) for child in element.children()))


def test_begin_marks_without_end_are_read_in_one_pass() -> None:
    octets = BEGIN * (130_000 // len(BEGIN))
    start = time.process_time()
    with pytest.raises(UnreadableCertificate):
        read_certificates(octets)
    assert time.process_time() - start < 1


def test_bundle_is_read_up_to_the_most_certificates(folder: Path) -> None:
    one = b"Bag Attributes\n" + (folder / "certificate.pem").read_bytes()
    assert len(read_certificates(one * MAX_CERTIFICATES)) == MAX_CERTIFICATES
    with pytest.raises(UnreadableCertificate, match=f"at most {MAX_CERTIFICATES} certificates"):
        read_certificates(one * (MAX_CERTIFICATES + 1))


def test_end_before_begin_hides_no_certificate(folder: Path) -> None:
    assert len(read_certificates(END + b"\n" + (folder / "certificate.pem").read_bytes())) == 1


@pytest.mark.parametrize("form", ["PEM", "DER"])
@pytest.mark.parametrize("words", [("-iter", "1000"), ("-scrypt",), ("-v1", "PBE-SHA1-3DES", "-iter", "1000")])
def test_encrypted_key_of_openssl_is_opened(folder: Path, form: str, words: tuple[str, ...]) -> None:
    assert read_key(pkcs8(folder, "-outform", form, *words), WORDS)


@pytest.mark.parametrize("words", [(), ("-v1", "PBE-SHA1-3DES")])
def test_key_with_too_many_iterations_is_refused_at_once(folder: Path, words: tuple[str, ...]) -> None:
    made = pkcs8(folder, "-outform", "DER", "-iter", str(MODEST), *words)
    assert iterations(made) == MODEST
    octets = raised(made, asked=MODEST)
    body = base64.encodebytes(octets)
    pem = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + body + b"-----END ENCRYPTED PRIVATE KEY-----\n"
    for each in (octets, pem):
        with pytest.raises(ExpensiveKey, match="openssl pkcs8 -topk8 -iter 600000"):
            read_key(each, WORDS)


def test_headers_in_pem_hide_no_iterations() -> None:
    with pytest.raises(UnreadableKey, match="more than base64"):
        read_key(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nA: b\n\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n", WORDS)


def test_costs_of_scrypt_are_bounded(folder: Path) -> None:
    small = pkcs8(folder, "-outform", "DER", "-scrypt", "-scrypt_N", "1024", "-scrypt_r", "8", "-scrypt_p", "2")
    assert iterations(small) == 8 * 1024 * 8 * 2
    large = pkcs8(folder, "-outform", "DER", "-scrypt", "-scrypt_N", "1024", "-scrypt_r", "8", "-scrypt_p", "200")
    with pytest.raises(ExpensiveKey):
        read_key(large, WORDS)


def test_pkcs12_of_openssl_is_opened(folder: Path) -> None:
    made = pkcs12(folder, "-iter", "1000")
    assert iterations(made, within_octets=True) == 3 * 1000  # the MAC, the certificates and the key
    assert read_pkcs12(made, WORDS).certificate == read_certificates((folder / "certificate.pem").read_bytes())[0]


@pytest.mark.parametrize("words", [("-iter", "600000", "-nomac"), ("-iter", "1000")])
def test_pkcs12_with_too_many_iterations_is_refused_at_once(folder: Path, words: tuple[str, ...]) -> None:
    made = pkcs12(folder, *words)
    octets = raised(made, asked=MODEST) if "-nomac" in words else mac_raised(made)
    with pytest.raises(ExpensiveKey, match="re-encrypt"):
        read_pkcs12(octets, WORDS)


def mac_raised(octets: bytes) -> bytes:
    """The file with 2^31-1 iterations of its MAC, which end it."""
    assert octets.endswith(b"\x02\x02\x03\xe8")
    version, safe, mac = read_only(octets).children()
    longer = mac.body[:-4] + integer(MANY)
    return sequence(version.encoded + safe.encoded + sequence(longer))


def test_indefinite_lengths_and_pieces_hide_no_iterations() -> None:
    parameters = b"\x30\x80\x04\x08saltsalt\x02\x04\x7f\xff\xff\xff\x00\x00"
    assert iterations(parameters) == MANY
    pieces = b"\x24\x80" + octet_string(parameters[:5]) + octet_string(parameters[5:]) + b"\x00\x00"
    assert iterations(pieces, within_octets=True) == MANY


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x84\xff", b"\x1f\xff\xff", b"\x04\x80", b"\x30\x80" * 50_000])
def test_what_is_no_ber_costs_nothing(octets: bytes) -> None:
    assert iterations(octets, within_octets=True) == 0
