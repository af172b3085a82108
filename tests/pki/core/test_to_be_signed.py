"""A TBSCertificate put together by hand is, octet for octet, what the library's builder signs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core import certificates
from pki.core.certificates import Names
from pki.core.filling import AskedNames
from pki.core.keys import algorithm_identifier, wrap_signed
from pki.core.profile import NO_EXPIRY, Profile
from pki.core.profiles import PROFILES
from pki.core.to_be_signed import make_form
from pki.core.values import KeyAlgorithm, SerialNumber
from tests.pki.conftest import openssl
from tests.pki.core.making import NOW, make_ca

CAS = {algorithm: make_ca(algorithm) for algorithm in KeyAlgorithm if "rsa" not in algorithm}
KEYS = [
    ec.generate_private_key(ec.SECP256R1()).public_key(),
    ec.generate_private_key(ec.SECP384R1()).public_key(),
    ec.generate_private_key(ec.SECP521R1()).public_key(),
    ed25519.Ed25519PrivateKey.generate().public_key(),
    rsa.generate_private_key(65_537, 2048).public_key(),
]
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=64)
PRINTABLE = st.text("ABCabc019 '()+,-./:=?", min_size=1, max_size=64)
SECONDS = st.integers(0, int(NO_EXPIRY.timestamp()) - 1)
HOSTS = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,20}\.example", fullmatch=True), max_size=3).map(tuple)
ADDRESSES = st.lists(st.ip_addresses().map(str), min_size=1, max_size=3).map(tuple)


@settings(max_examples=300, deadline=None)
@given(
    algorithm=st.sampled_from([*CAS]),
    profile=st.sampled_from([*PROFILES.values()]),
    public_key=st.sampled_from(KEYS),
    serial=st.integers(1, (1 << 159) - 1),
    seconds=st.tuples(SECONDS, SECONDS).map(sorted),
    text=TEXT,
    printable=PRINTABLE,
    hosts=HOSTS,
    addresses=ADDRESSES,
)
def test_it_is_what_the_builder_signs(
    algorithm: KeyAlgorithm,
    profile: Profile,
    public_key: ec.EllipticCurvePublicKey,
    serial: int,
    seconds: list[int],
    text: str,
    printable: str,
    hosts: tuple[str, ...],
    addresses: tuple[str, ...],
) -> None:
    ca = CAS[algorithm]
    variables = {"auth_id": text, "common_name": text, "domain": text, "id": text}
    variables |= {"hardware_serial": printable, "hardware_type": "1.3.6.1.4.1.32473.1"}
    names = Names(variables=variables, asked=AskedNames(dns=hosts, ip=addresses))
    begin, end = (dt.datetime.fromtimestamp(each, dt.UTC) for each in seconds)
    asked: dict[str, Any] = {
        "names": names,
        "public_key": public_key,
        "serial": SerialNumber(serial),
        "not_before": begin,
        "not_after": max(end, begin + dt.timedelta(seconds=1)),
    }
    form = make_form(profile=profile, authority=ca.authority, algorithm=algorithm_identifier(ca.key))
    to_be_signed = form.fill(**asked)
    built = certificates.sign(certificates.build(profile=profile, authority=ca.authority, **asked), ca.key)
    assert to_be_signed == built.tbs_certificate_bytes
    parsed = x509.load_der_x509_certificate(wrap_signed(ca.key, to_be_signed))
    parsed.verify_directly_issued_by(ca.certificate)
    assert (parsed.serial_number, parsed.not_valid_before_utc, parsed.public_key()) == (serial, begin, public_key)


def test_a_certificate_that_is_linted_is_what_is_signed_and_nobody_believes_it() -> None:
    ca = CAS[KeyAlgorithm.ECDSA_P256]
    form = make_form(profile=PROFILES["device"], authority=ca.authority, algorithm=algorithm_identifier(ca.key))
    to_be_signed = form.fill(**_asked())
    linted = form.unsigned(to_be_signed)
    assert linted.tbs_certificate_bytes == to_be_signed
    with pytest.raises(InvalidSignature):
        linted.verify_directly_issued_by(ca.certificate)


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC), "Dec 31 23:59:59 2049 GMT"),
        (dt.datetime(2050, 1, 1, tzinfo=dt.UTC), "Jan  1 00:00:00 2050 GMT"),
        (NO_EXPIRY, "Dec 31 23:59:59 9999 GMT"),
    ],
)
def test_openssl_reads_it(ends: dt.datetime, told: str, tmp_path: Path) -> None:
    ca = CAS[KeyAlgorithm.ED25519]
    form = make_form(profile=PROFILES["device"], authority=ca.authority, algorithm=algorithm_identifier(ca.key))
    (tmp_path / "leaf.der").write_bytes(wrap_signed(ca.key, form.fill(**_asked() | {"not_after": ends})))
    said = openssl("x509", "-noout", "-enddate", "-subject", "-inform", "DER", "-in", tmp_path / "leaf.der")
    assert said.splitlines() == [f"notAfter={told}", "subject=CN = pump-17"]


def test_one_form_serves_many_and_another_shard_another() -> None:
    ca = CAS[KeyAlgorithm.ECDSA_P256]
    algorithm = algorithm_identifier(ca.key)
    shards = [replace(ca.authority, crl_url=f"http://pki.example/crl/{number}") for number in (0, 1)]
    forms = [make_form(profile=PROFILES["device"], authority=each, algorithm=algorithm) for each in shards]
    filled = [form.fill(**_asked()) for form in forms]
    assert b"http://pki.example/crl/0" in filled[0]
    assert b"http://pki.example/crl/1" in filled[1]
    assert len(filled[0]) == len(filled[1])


def _asked() -> dict[str, Any]:
    return {
        "names": Names(variables={"auth_id": "pump-17", "domain": "north", "id": "17"}),
        "public_key": KEYS[0],
        "serial": SerialNumber(1 << 158 | 17),
        "not_before": NOW,
        "not_after": NOW + dt.timedelta(days=300),
    }
