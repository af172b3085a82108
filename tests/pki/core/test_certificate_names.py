"""Names that stand in a certificate once, of certificates that openssl makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from pki.core.certificate_names import CertificateNames, names_in
from tests.devices.openssl import P256, openssl


def names(folder: Path, subject: str, alternative: str = "") -> CertificateNames:
    """Those of a certificate with that subject and those alternative names."""
    named = ("-utf8", "-multivalue-rdn", "-subj", subject)
    added = ("-addext", f"subjectAltName={alternative}") if alternative else ()
    made = openssl("req", "-x509", *P256, "-nodes", "-keyout", folder / "x.key", *named, *added)
    return names_in(x509.load_pem_x509_certificate(made.encode()))


def test_each_name_is_read(tmp_path: Path) -> None:
    found = names(tmp_path, "/O=Grün & Söhne/OU=Halle 2+CN=泵", "DNS:p.example,URI:urn:x:1,IP:192.0.2.1,email:a@b.c")
    assert found == CertificateNames(cn="泵", o="Grün & Söhne", ou="Halle 2", san_uri="urn:x:1", san_dns="p.example")


@pytest.mark.parametrize("subject", ["/CN=a/CN=b", "/CN=a+CN=b", "/serialNumber=1"])
def test_a_name_that_stands_there_twice_or_never_is_none(tmp_path: Path, subject: str) -> None:
    assert names(tmp_path, subject) == CertificateNames()


def test_of_two_alternative_names_of_a_kind_none_is_the_one(tmp_path: Path) -> None:
    found = names(tmp_path, "/CN=a", "DNS:p.example,DNS:p.example,URI:urn:x:1")
    assert found == CertificateNames(cn="a", san_uri="urn:x:1")


def test_a_name_that_is_too_long_is_not_cut(tmp_path: Path) -> None:
    fits, is_longer = "urn:x:" + 249 * "a", "urn:x:" + 250 * "a"
    assert names(tmp_path, "/CN=a", f"URI:{fits}").san_uri == fits
    assert names(tmp_path, "/CN=a", f"URI:{is_longer}").san_uri == ""
