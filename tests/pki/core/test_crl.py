"""CRLs as the library reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core.crl import CrlFacts, build_crl, encode_entry
from pki.core.values import KeyAlgorithm, ReasonCode
from tests.pki.core.making import NOW, Ca, make_ca

Found = TypeVar("Found", bound=x509.ExtensionType)
CA = make_ca()
CHAIN: dict[KeyAlgorithm, Ca] = {each: make_ca(each) for each in KeyAlgorithm if each is not KeyAlgorithm.RSA_4096}

seconds = st.integers(946_684_800, 4_102_444_800).map(lambda unix: datetime.fromtimestamp(unix, UTC))  # 2000 to 2100
reasons = st.sampled_from([each for each in ReasonCode if each is not ReasonCode.REMOVE_FROM_CRL])
entries = st.lists(
    st.tuples(st.integers(min_value=1, max_value=(1 << 159) - 1), seconds, reasons, st.none() | seconds),
    max_size=20,
    unique_by=lambda entry: entry[0],
)


def facts(number: int = 7, this_update: datetime = NOW, days: int = 7, **more: Any) -> CrlFacts:
    return CrlFacts(
        issuer_name=CA.certificate.subject.public_bytes(),
        key_id=CA.authority.key_id,
        number=number,
        this_update=this_update,
        next_update=this_update + timedelta(days=days),
        **more,
    )


def extension_of(crl: x509.CertificateRevocationList, kind: type[Found]) -> x509.Extension[Found]:
    return crl.extensions.get_extension_for_class(kind)


@settings(deadline=None)
@given(entries, st.integers(min_value=1, max_value=1 << 100), seconds)
def test_what_was_built_is_what_is_read(
    listed: list[tuple[int, datetime, ReasonCode, datetime | None]], number: int, this_update: datetime
) -> None:
    octets = [
        encode_entry(serial=serial, revoked_at=at, reason=reason, invalidity_date=since)
        for serial, at, reason, since in listed
    ]
    crl = x509.load_der_x509_crl(build_crl(facts(number, this_update), entries=octets, key=CA.key))
    assert crl.is_signature_valid(CA.key.public_key())
    assert crl.issuer == CA.certificate.subject
    assert (crl.last_update_utc, crl.next_update_utc) == (this_update, this_update + timedelta(days=7))
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == number
    key_id = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key_id == CA.authority.key_id
    assert [as_tuple(entry) for entry in crl] == listed


def as_tuple(entry: x509.RevokedCertificate) -> tuple[int, datetime, ReasonCode, datetime | None]:
    found = {each.oid: each.value for each in entry.extensions}
    reason = found.get(CRLEntryExtensionOID.CRL_REASON)
    since = found.get(CRLEntryExtensionOID.INVALIDITY_DATE)
    return (
        entry.serial_number,
        entry.revocation_date_utc,
        ReasonCode(reason.reason.value) if isinstance(reason, x509.CRLReason) else ReasonCode.UNSPECIFIED,
        since.invalidity_date_utc if isinstance(since, x509.InvalidityDate) else None,
    )


def test_an_unspecified_reason_is_left_out() -> None:
    entry = encode_entry(serial=1, revoked_at=NOW, reason=ReasonCode.UNSPECIFIED)
    assert entry == bytes.fromhex("3012020101170d") + b"270301120000Z"  # RFC 5280 5.3.1, by hand


def test_an_empty_crl_has_no_list() -> None:
    crl = x509.load_der_x509_crl(build_crl(facts(), entries=(), key=CA.key))
    assert len(crl) == 0
    assert b"\x30\x00" not in crl.tbs_certlist_bytes  # absent, not empty: RFC 5280 5.1.2.6


def test_a_delta_says_critically_where_it_begins() -> None:
    crl = x509.load_der_x509_crl(build_crl(facts(9, base_number=4), entries=(), key=CA.key))
    indicator = extension_of(crl, x509.DeltaCRLIndicator)
    assert (indicator.critical, indicator.value.crl_number) == (True, 4)
    assert extension_of(crl, x509.CRLNumber).value.crl_number == 9
    assert len(list(crl.extensions)) == 3


def test_a_shard_says_critically_which_place_it_is_for() -> None:
    url = "http://pki.example/pki/north-ca/crl/3"
    crl = x509.load_der_x509_crl(build_crl(facts(shard_url=url), entries=(), key=CA.key))
    point = extension_of(crl, x509.IssuingDistributionPoint)
    assert point.critical
    assert point.value == x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def test_a_full_crl_says_where_the_deltas_are() -> None:
    url = "http://pki.example/pki/north-ca/delta.crl"
    crl = x509.load_der_x509_crl(build_crl(facts(delta_url=url), entries=(), key=CA.key))
    points = extension_of(crl, x509.FreshestCRL)
    assert not points.critical
    wanted = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    assert list(points.value) == [wanted]


@settings(deadline=None)
@given(st.integers(1, 1 << 80), st.integers(1, 1 << 80), st.text("abz/:.-0", min_size=1, max_size=300))
def test_extensions_of_any_length_are_read_back(number: int, base: int, url: str) -> None:
    delta = x509.load_der_x509_crl(build_crl(facts(number, base_number=base), entries=(), key=CA.key))
    assert extension_of(delta, x509.DeltaCRLIndicator).value.crl_number == base
    shard = x509.load_der_x509_crl(build_crl(facts(number, shard_url=url), entries=(), key=CA.key))
    [name] = extension_of(shard, x509.IssuingDistributionPoint).value.full_name or []
    assert name.value == url


def test_neither_extension_of_the_list_is_critical() -> None:
    crl = x509.load_der_x509_crl(build_crl(facts(), entries=(), key=CA.key))
    assert [extension.critical for extension in crl.extensions] == [False, False]


@pytest.mark.parametrize("algorithm", CHAIN)
def test_every_kind_of_key_signs(algorithm: KeyAlgorithm) -> None:
    ca = CHAIN[algorithm]
    crl = x509.load_der_x509_crl(build_crl(facts(), entries=(), key=ca.key))
    assert crl.is_signature_valid(ca.key.public_key())


def test_numbers_of_all_sizes_stay_positive() -> None:
    for before, after in pairwise((127, 128, 255, 256, 32_767, 32_768)):
        numbers = []
        for number in (before, after):
            crl = x509.load_der_x509_crl(build_crl(facts(number), entries=(), key=CA.key))
            numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        assert numbers == [before, after]
