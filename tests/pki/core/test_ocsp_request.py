"""OCSP requests: made by the library and by hand, and by nobody in his right mind."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pki.core import der
from pki.core.ocsp_request import MAX_CERT_IDS, MalformedRequestError, build_request, issuer_hashes, parse_request
from tests.pki.core.making import make_ca

CA = make_ca()
ALGORITHMS: dict[str, Any] = {
    "sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
}  # fmt: skip
SHA1 = der.sequence(der.oid("1.3.14.3.2.26"), der.tlv(der.NULL))


def cert_id(serial: int = 5, algorithm: bytes = SHA1) -> bytes:
    return der.sequence(algorithm, der.octet_string(b"n" * 20), der.octet_string(b"k" * 20), der.integer(serial))


ONE = der.sequence(cert_id())


def request(*singles: bytes, tail: bytes = b"", head: bytes = b"") -> bytes:
    return der.sequence(der.sequence(head, der.sequence(*singles), tail))


def extensions(*found: bytes) -> bytes:
    return der.explicit(2, der.sequence(*found))


def nonce_of(octets: bytes) -> bytes:
    return der.extension("1.3.6.1.5.5.7.48.1.2", der.octet_string(octets))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_request_of_the_library_is_understood(name: str) -> None:
    built = ocsp.OCSPRequestBuilder().add_certificate(CA.certificate, CA.certificate, ALGORITHMS[name]).build()
    [asked] = parse_request(built.public_bytes(Encoding.DER)).cert_ids
    assert asked.hash_name == name
    assert (asked.issuer_name_hash, asked.issuer_key_hash) == (built.issuer_name_hash, built.issuer_key_hash)
    assert issuer_hashes(CA.certificate)[name] == (built.issuer_name_hash, built.issuer_key_hash)
    assert asked.serial == CA.certificate.serial_number


def test_our_own_request_is_what_the_library_reads() -> None:
    read = ocsp.load_der_ocsp_request(build_request(issuer=CA.certificate, serial=1 << 158))
    assert read.serial_number == 1 << 158
    assert isinstance(read.hash_algorithm, hashes.SHA256)
    assert read.issuer_name_hash == hashlib.sha256(CA.certificate.subject.public_bytes()).digest()


@given(st.binary(min_size=1, max_size=128), st.integers(min_value=1, max_value=1 << 159))
def test_a_nonce_and_a_serial_number_come_back(nonce: bytes, serial: int) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(b"n" * 20, b"k" * 20, serial, hashes.SHA1())
    built = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    read = parse_request(built.public_bytes(Encoding.DER))
    assert read.nonce == nonce
    assert [asked.serial for asked in read.cert_ids] == [serial]


def test_several_certificates_are_asked_in_their_order() -> None:
    read = parse_request(request(*(der.sequence(cert_id(serial)) for serial in (3, 1, 2))))
    assert [asked.serial for asked in read.cert_ids] == [3, 1, 2]
    assert [asked.encoded for asked in read.cert_ids] == [cert_id(serial) for serial in (3, 1, 2)]


def test_a_hash_that_nobody_knows_is_nobodys_certificate() -> None:
    [asked] = parse_request(request(der.sequence(cert_id(algorithm=der.sequence(der.oid("1.2.3.4")))))).cert_ids
    assert asked.hash_name == ""


def test_a_version_a_name_and_a_signature_are_passed_over() -> None:
    version = der.explicit(0, der.integer(0))
    name = der.explicit(1, der.tlv(0xA4, CA.certificate.subject.public_bytes()))
    body = der.sequence(version, name, der.sequence(der.sequence(cert_id())))
    signature = der.explicit(0, der.sequence(SHA1, der.bit_string(b"not looked at")))
    assert len(parse_request(der.sequence(body, signature)).cert_ids) == 1


def test_an_unknown_extension_counts_only_if_it_is_critical() -> None:
    known = [nonce_of(b"n"), der.extension("1.2.3.4", b"\x05\x00")]
    assert parse_request(request(ONE, tail=extensions(*known))).nonce == b"n"
    critical = der.extension("1.2.3.4", b"\x05\x00", critical=True)
    with pytest.raises(MalformedRequestError, match="critical"):
        parse_request(request(ONE, tail=extensions(critical)))
    with pytest.raises(MalformedRequestError, match="critical"):
        parse_request(request(der.sequence(cert_id(), der.explicit(0, der.sequence(critical)))))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(request(), id="no certificate"),
        pytest.param(request(*[der.sequence(cert_id())] * (MAX_CERT_IDS + 1)), id="too many"),
        pytest.param(request(der.sequence()), id="an empty Request"),
        pytest.param(request(der.sequence(cert_id(), cert_id())), id="two CertIDs in one Request"),
        pytest.param(request(der.sequence(der.sequence(SHA1, der.integer(1)))), id="a CertID without hashes"),
        pytest.param(request(der.sequence(cert_id(algorithm=der.sequence()))), id="no hash algorithm"),
        pytest.param(request(der.sequence(cert_id(algorithm=der.tlv(der.NULL)))), id="NULL for a hash algorithm"),
        pytest.param(request(ONE, head=der.explicit(0, der.integer(1))), id="version 2"),
        pytest.param(request(ONE, head=der.explicit(0)), id="an empty version"),
        pytest.param(request(ONE, tail=extensions(nonce_of(b""))), id="an empty nonce"),
        pytest.param(request(ONE, tail=extensions(nonce_of(b"n" * 129))), id="a long nonce"),
        pytest.param(request(ONE, tail=extensions(nonce_of(b"a"), nonce_of(b"b"))), id="two nonces"),
        pytest.param(request(ONE, tail=extensions(der.sequence())), id="an empty Extension"),
        pytest.param(request(ONE, tail=der.integer(1)), id="something else behind"),
        pytest.param(der.sequence(der.sequence(der.sequence(ONE)), der.integer(1)), id="no signature"),
        pytest.param(request(der.sequence(cert_id())) + b"\x00", id="an octet behind"),
        pytest.param(b"\x30\x82\x28\x01" + b"\x00" * 10_241, id="too large"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        parse_request(octets)


GOOD = request(der.sequence(cert_id()), der.sequence(cert_id(77)), tail=extensions(nonce_of(b"nonce")))


@given(st.binary(max_size=400))
def test_any_octets_are_a_request_or_malformed(octets: bytes) -> None:
    survives(octets)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
def test_a_damaged_request_is_a_request_or_malformed(changes: list[tuple[int, int]], size: int) -> None:
    damaged = bytearray(GOOD)
    for place, octet in changes:
        damaged[place] = octet
    survives(bytes(damaged))
    survives(bytes(damaged[:size]))


def survives(octets: bytes) -> None:
    try:
        read = parse_request(octets)
    except MalformedRequestError:
        return
    assert 1 <= len(read.cert_ids) <= MAX_CERT_IDS
