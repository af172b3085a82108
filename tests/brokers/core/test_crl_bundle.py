"""Nothing unfit is ever given to a broker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from brokers.core.crl_bundle import UnfitCrl, bundle, parse_bundle
from kernel.core.clock import utc_now
from tests.brokers.conftest import OpensslCa


def der(pem: str) -> bytes:
    return x509.load_pem_x509_crl(pem.encode()).public_bytes(Encoding.DER)


def issuer(ca: OpensslCa) -> bytes:
    return x509.load_pem_x509_certificate(ca.certificate.encode()).public_bytes(Encoding.DER)


def test_bundle_is_what_parses_again(openssl_ca: OpensslCa) -> None:
    pem = bundle({issuer(openssl_ca): der(openssl_ca.crl())}, now=utc_now())
    assert len(parse_bundle(pem + pem)) == 2


def test_crl_of_another_key_is_refused(openssl_ca: OpensslCa, tmp_path: Path) -> None:
    crl = bytearray(der(openssl_ca.crl()))
    crl[-1] ^= 1
    with pytest.raises(UnfitCrl):
        bundle({issuer(openssl_ca): bytes(crl)}, now=utc_now())


def test_expired_crl_is_refused(openssl_ca: OpensslCa) -> None:
    with pytest.raises(UnfitCrl, match="expired"):
        bundle({issuer(openssl_ca): der(openssl_ca.crl())}, now=utc_now() + timedelta(days=2))


def test_missing_crl_is_refused(openssl_ca: OpensslCa) -> None:
    with pytest.raises(UnfitCrl, match="no CRL yet"):
        bundle({issuer(openssl_ca): None}, now=utc_now())


def test_garbage_is_refused(openssl_ca: OpensslCa) -> None:
    with pytest.raises(UnfitCrl):
        bundle({issuer(openssl_ca): b"garbage"}, now=utc_now())
    with pytest.raises(UnfitCrl):
        parse_bundle("garbage")
    with pytest.raises(UnfitCrl):
        parse_bundle("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")


def test_domain_without_an_issuer_has_no_bundle() -> None:
    with pytest.raises(UnfitCrl):
        bundle({}, now=utc_now())
