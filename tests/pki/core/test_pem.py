from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pki.core.bounded_cache import BoundedCache
from pki.core.pem import encode_pem
from pki.core.values import ReasonCode, serial_hex
from tests.pki.core.making import make_ca


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 96, 1000])
def test_pem_is_what_the_library_writes(size: int) -> None:
    certificate = make_ca().certificate
    assert encode_pem("CERTIFICATE", certificate.public_bytes(Encoding.DER)).encode() == certificate.public_bytes(
        Encoding.PEM
    )
    octets = bytes(range(256)) * 4
    pem = encode_pem("X", octets[:size])
    lines = pem.removeprefix("-----BEGIN X-----\n").removesuffix("-----END X-----\n")
    said = subprocess.run(["openssl", "base64", "-d"], input=lines.encode(), capture_output=True, check=True)
    assert said.stdout == octets[:size]


def test_a_bounded_cache_forgets_the_oldest() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    for name, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        cache.put(name, value)
    assert [cache.get(name) for name in "abc"] == [3, None, 4]
    assert len(cache) == 2


@pytest.mark.parametrize(("serial", "text"), [(1, "01"), (0xABC, "0abc"), (0x80, "80"), (1 << 158, "40" + "00" * 19)])
def test_serial_numbers_are_spelt_as_openssl_does(serial: int, text: str) -> None:
    assert serial_hex(serial) == text


def test_reasons_have_the_numbers_of_the_rfc() -> None:
    assert {reason.number for reason in ReasonCode} == {0, 1, 2, 3, 4, 5, 6, 8, 9, 10}  # RFC 5280 5.3.1: 7 is unused
    assert ReasonCode("removeFromCRL").number == 8
