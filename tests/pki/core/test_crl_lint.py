"""What is wrong with a CRL is said before it is stored: each rule by a CRL that breaks it, built by other means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core import der
from pki.core.crl import CrlFacts, build_crl, encode_entry
from pki.core.crl_lint import CrlLintFailure, check_crl, find_faults
from pki.core.crl_reading import count_repeated, read_crl
from pki.core.keys import generate_key, wrap_signed
from pki.core.values import KeyAlgorithm, ReasonCode
from tests.pki.core.making import NOW, make_ca

CA = make_ca()
KEY = CA.key.public_key()
FULL = CrlFacts(
    issuer_name=CA.certificate.subject.public_bytes(),
    key_id=CA.authority.key_id,
    number=7,
    this_update=NOW,
    next_update=NOW + timedelta(days=7),
)
DELTA, SHARD = replace(FULL, base_number=3), replace(FULL, shard_url="http://pki.example/crl/3")


def entry(serial: int, reason: ReasonCode = ReasonCode.SUPERSEDED) -> bytes:
    return encode_entry(serial=serial, revoked_at=NOW, reason=reason)


def faults(octets: bytes, facts: CrlFacts = FULL, entries: int = 0) -> list[str]:
    return [*find_faults(octets, facts=facts, entries=entries, issuer=KEY)]


def crl(facts: CrlFacts = FULL, entries: Sequence[bytes] = ()) -> bytes:
    return build_crl(facts, entries=entries, key=CA.key)


@pytest.mark.parametrize("facts", [FULL, DELTA, SHARD, replace(FULL, delta_url="http://pki.example/delta.crl")])
def test_a_right_crl_has_no_fault(facts: CrlFacts) -> None:
    check_crl(crl(facts, [entry(1), entry(2)]), facts=facts, entries=2, issuer=KEY)


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ECDSA_P384, KeyAlgorithm.RSA_3072, KeyAlgorithm.ED25519])
def test_every_kind_of_key_is_checked(algorithm: KeyAlgorithm) -> None:
    key, other = generate_key(algorithm), generate_key(algorithm)
    octets = build_crl(FULL, entries=(), key=key)
    assert [*find_faults(octets, facts=FULL, entries=0, issuer=key.public_key())] == []
    assert [*find_faults(octets, facts=FULL, entries=0, issuer=other.public_key())] == [
        "the issuer's key does not verify it"
    ]


def test_a_repeated_serial_number_is_found() -> None:
    octets = crl(entries=[entry(1), entry(2), entry(1, ReasonCode.KEY_COMPROMISE)])
    assert faults(octets, entries=3) == ["1 of its serial numbers stand in it already"]


def test_a_crl_of_another_size_than_was_read_is_found() -> None:
    assert faults(crl(entries=[entry(1)]), entries=2) == ["it lists 1 certificates where 2 belong"]


def test_a_missing_next_update_is_found() -> None:
    whole = der.read_only(crl()).body
    inner = [*der.read_only(der.read(whole)[0].encoded).children()]
    assert inner[4].tag == der.UTC_TIME  # version, algorithm, issuer, thisUpdate, nextUpdate
    without = der.sequence(*(each.encoded for each in (*inner[:4], *inner[5:])))
    found = faults(wrap_signed(CA.key, without))
    assert "it does not say when the next one comes (5.1.2.5)" in found


def test_a_delta_without_a_base_is_found() -> None:
    assert faults(crl(FULL), DELTA) == ["its extension 2.5.29.27 is missing"]


def test_a_delta_whose_base_is_no_older_is_found() -> None:
    for base in (7, 8):
        facts = replace(FULL, base_number=base)
        assert faults(crl(facts), facts) == ["it is a delta to a CRL that is no older than it (5.2.4)"]


def test_a_full_crl_that_turns_out_a_delta_is_found() -> None:
    assert faults(crl(DELTA)) == ["it has an extension 2.5.29.27 that does not belong"]


def test_a_delta_that_points_to_deltas_is_found() -> None:
    facts = replace(DELTA, delta_url="http://pki.example/delta.crl")
    assert faults(crl(facts), facts) == ["it is a delta that points to deltas (5.2.6)"]


def test_a_shard_for_another_place_is_found() -> None:
    other = replace(SHARD, shard_url="http://pki.example/crl/03")
    assert faults(crl(other), SHARD) == ["its extension 2.5.29.28 is not what it should be"]


def test_an_uncritical_delta_indicator_is_found() -> None:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(CA.certificate.subject)
        .last_update(FULL.this_update)
        .next_update(FULL.next_update)
        .add_extension(x509.AuthorityKeyIdentifier(FULL.key_id, None, None), critical=False)
        .add_extension(x509.CRLNumber(7), critical=False)
        .add_extension(x509.DeltaCRLIndicator(3), critical=False)
    )
    octets = builder.sign(CA.key, SHA256()).public_bytes(Encoding.DER)
    assert "its extension 2.5.29.27 has the wrong criticality" in faults(octets, DELTA)


def test_a_number_of_more_than_twenty_octets_is_found() -> None:
    longest = replace(FULL, number=(1 << 159) - 1)
    assert faults(crl(longest), longest) == []
    longer = replace(FULL, number=1 << 159)
    assert faults(crl(longer), longer) == ["its number is not positive in 20 octets (5.2.3)"]


def test_a_reason_that_is_left_out_otherwise_is_found() -> None:
    reason = der.extension("2.5.29.21", der.integer(0, tag=der.ENUMERATED))
    written = der.sequence(der.integer(5), der.time(NOW), der.sequence(reason))
    assert faults(crl(entries=[written]), entries=1) == ["it gives unspecified as a reason, which is left out (5.3.1)"]


def test_only_a_delta_removes_an_entry() -> None:
    removed = [entry(5, ReasonCode.REMOVE_FROM_CRL)]
    assert faults(crl(DELTA, removed), DELTA, entries=1) == []
    assert faults(crl(FULL, removed), entries=1) == ["it removes an entry, as only a delta does (5.3.1)"]


def test_other_times_and_another_issuer_are_found() -> None:
    later = replace(FULL, next_update=NOW + timedelta(days=8))
    assert faults(crl(later)) == ["its times are not those it should have"]
    other = replace(FULL, issuer_name=x509.Name([]).public_bytes())
    assert faults(crl(other)) == ["its issuer is not named as the issuer names itself (5.1.2.3)"]


def test_what_is_no_crl_is_said_so() -> None:
    for octets in (b"", b"\x30\x00", crl()[:-1], b"\x30\x03\x02\x01\x01"):
        [fault] = faults(octets)
        assert fault.startswith("it can not be read back: ")


def test_the_failure_names_every_fault() -> None:
    with pytest.raises(CrlLintFailure, match=r"lists 2 .* stand in it already"):
        check_crl(crl(entries=[entry(1), entry(1)]), facts=FULL, entries=1, issuer=KEY)


@settings(deadline=None)
@given(st.lists(st.integers(1, (1 << 159) - 1) | st.integers(1 << 158, (1 << 158) + 3), max_size=30))
def test_repeated_serial_numbers_of_any_length_are_counted(serials: list[int]) -> None:
    reading = read_crl(crl(entries=[entry(serial) for serial in serials]))
    begin, end = reading.entries
    assert reading.octets[begin:end] == b"".join(entry(serial) for serial in serials)
    assert count_repeated(reading, entries=len(serials)) == len(serials) - len(set(serials))


WHOLE = crl(SHARD, [entry(1), entry(1 << 158)])


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_no_octet_can_be_changed_unseen(place: int, change: int) -> None:
    octets = WHOLE[:place] + bytes([WHOLE[place] ^ change]) + WHOLE[place + 1 :]
    assert faults(octets, SHARD, entries=2)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=40))
def test_what_is_cut_or_lengthened_is_seen(place: int, more: bytes) -> None:
    assert faults(WHOLE[:place] + more, SHARD, entries=2) or WHOLE[:place] + more == WHOLE
    assert not more or faults(WHOLE + more, SHARD, entries=2)


def test_an_extension_that_stands_twice_is_found() -> None:
    number = der.extension("2.5.29.20", der.integer(7))
    body = [*der.read_only(der.read(der.read_only(crl()).body)[0].encoded).children()]
    twice = der.sequence(*(each.encoded for each in body[:-1]), der.explicit(0, der.sequence(number, number)))
    assert any("can not be read back" in fault for fault in faults(wrap_signed(CA.key, twice)))
