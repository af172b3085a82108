"""Nothing unfit is ever given to a broker."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from brokers.core.crl_bundle import UnfitCrl, bundle, completed, parse_bundle
from kernel.core.clock import utc_now
from tests.brokers.conftest import OpensslCa, new_openssl_ca


def der(pem: str) -> bytes:
    return x509.load_pem_x509_crl(pem.encode()).public_bytes(Encoding.DER)


def issuer(ca: OpensslCa) -> bytes:
    return x509.load_pem_x509_certificate(ca.certificate.encode()).public_bytes(Encoding.DER)


def unfit(ca: OpensslCa, crl: bytes | None, *, now: datetime) -> str:
    """Why the CRL of that CA is left out."""
    pem, found = bundle({issuer(ca): crl}, now=now)
    assert not pem
    return found[issuer(ca)].detail


def test_bundle_is_what_parses_again(openssl_ca: OpensslCa) -> None:
    pem, left_out = bundle({issuer(openssl_ca): der(openssl_ca.crl())}, now=utc_now())
    assert len(parse_bundle(pem + pem)) == 2
    assert not left_out


def test_crl_of_another_key_is_refused(openssl_ca: OpensslCa, tmp_path: Path) -> None:
    crl = bytearray(der(openssl_ca.crl()))
    crl[-1] ^= 1
    assert unfit(openssl_ca, bytes(crl), now=utc_now())


def test_expired_crl_is_refused(openssl_ca: OpensslCa) -> None:
    assert "expired" in unfit(openssl_ca, der(openssl_ca.crl()), now=utc_now() + timedelta(days=2))


def test_missing_crl_is_refused(openssl_ca: OpensslCa) -> None:
    assert "no CRL yet" in unfit(openssl_ca, None, now=utc_now())


def test_garbage_is_refused(openssl_ca: OpensslCa) -> None:
    assert unfit(openssl_ca, b"garbage", now=utc_now())
    with pytest.raises(UnfitCrl):
        parse_bundle("garbage")
    with pytest.raises(UnfitCrl):
        parse_bundle("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")


def test_domain_without_an_issuer_has_no_bundle() -> None:
    with pytest.raises(UnfitCrl):
        bundle({}, now=utc_now())


def test_unfit_one_leaves_the_others_in_and_the_file_keeps_what_it_had_of_it(
    openssl_ca: OpensslCa, tmp_path: Path
) -> None:
    other, stranger = new_openssl_ca(tmp_path / "other"), new_openssl_ca(tmp_path / "stranger")
    ours, theirs = openssl_ca.crl(), other.crl()
    pem, left_out = bundle({issuer(other): None, issuer(openssl_ca): der(ours)}, now=utc_now())
    assert der(pem) == der(ours)
    assert list(left_out) == [issuer(other)]
    trust = openssl_ca.certificate + other.certificate
    kept = completed(pem, kept=openssl_ca.crl() + theirs + stranger.crl(), trust=trust)
    assert [each.public_bytes(Encoding.DER) for each in parse_bundle(kept)] == [der(ours), der(theirs)]
    for nothing in ("", "garbage"):
        assert completed(pem, kept=nothing, trust=trust) == pem
    assert completed(pem, kept=theirs, trust="") == pem
    with pytest.raises(UnfitCrl):
        completed("garbage", kept=theirs, trust=trust)
