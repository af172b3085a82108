"""DER against the library's and openssl's idea of it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.core import der
from pki.core.der import MalformedDerError


def openssl_dumps(octets: bytes) -> str:
    done = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=octets, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, "020100"), (1, "020101"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (32768, "0203008000")],
)
def test_an_integer_is_as_short_as_it_can_be(value: int, octets: str) -> None:
    assert der.integer(value).hex() == octets  # X.690 8.3


@pytest.mark.parametrize(
    ("dotted", "octets"),
    [
        ("1.3.14.3.2.26", "06052b0e03021a"),
        ("2.5.29.35", "0603551d23"),
        ("1.2.840.10045.4.3.2", "06082a8648ce3d040302"),
        ("2.16.840.1.101.3.4.2.1", "0609608648016503040201"),
    ],
)
def test_an_oid_is_what_the_rfcs_print(dotted: str, octets: str) -> None:
    assert der.oid(dotted).hex() == octets


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_openssl_reads_every_form_of_length(size: int) -> None:
    octets = der.sequence(der.octet_string(b"x" * size))
    assert f"l={size:4} prim: OCTET STRING" in openssl_dumps(octets)


def test_times_turn_into_generalized_time_in_2050() -> None:
    last = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert der.time(last) == b"\x17\x0d491231235959Z"
    assert der.time(last + timedelta(seconds=1)) == b"\x18\x0f20500101000000Z"


def test_times_are_in_utc() -> None:
    east = datetime(2027, 1, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=2)))
    assert der.time(east) == b"\x17\x0d261231230000Z"


@given(st.integers(min_value=0, max_value=1 << 160))
def test_an_integer_comes_back(value: int) -> None:
    assert der.read_only(der.integer(value)).as_integer() == value


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_elements_come_back(bodies: list[bytes]) -> None:
    read = der.read_only(der.sequence(*map(der.octet_string, bodies))).children()
    assert [element.expect(der.OCTET_STRING).body for element in read] == bodies


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "nothing"),
        ("30", "no length"),
        ("3080", "indefinite length"),
        ("30800000", "indefinite length with its end"),
        ("308101ff", "a long form that should be short"),
        ("30820001", "a leading zero in the length"),
        ("3085000000000000", "five octets of length"),
        ("30ff", "the reserved length"),
        ("1f8101", "a long tag"),
        ("3003020101ff", "something behind"),
        ("30040201", "an end before its time"),
    ],
)
def test_what_is_not_der_is_refused(octets: str, why: str) -> None:
    with pytest.raises(MalformedDerError):
        der.read_only(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", ["0200", "02020001", "0202ff80", "0c0131"])
def test_what_is_no_minimal_integer_is_refused(octets: str) -> None:
    with pytest.raises(MalformedDerError):
        der.read_only(bytes.fromhex(octets)).as_integer()


@given(st.binary(max_size=200))
def test_reading_anything_ends_with_an_element_or_with_that_error(octets: bytes) -> None:
    try:
        element, rest = der.read(octets)
    except MalformedDerError:
        return
    assert element.encoded + rest == octets
