"""CRL and OCSP as programs of others fetch them: openssl, ocsptool, curl, pkilint."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pki import services
from pki.api import wsgi
from pki.api.shelf import Shelf
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.services.answer_ocsp import Responder
from tests.cast import ADA
from tests.pki.conftest import IssueDevice, openssl, pkilint
from tests.pki.serving import served


@pytest.fixture
def url(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(wsgi, "responder", Responder())
    monkeypatch.setattr(wsgi, "shelf", Shelf())
    with served() as address:
        yield address


@pytest.fixture
def pair(issue_device: IssueDevice, now: datetime) -> tuple[IssuedCertificate, IssuedCertificate]:
    """A good certificate and a revoked one."""
    good, bad = issue_device("good"), issue_device("bad")
    services.revoke_certificate(certificate=bad.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    return good, bad


@pytest.fixture
def files(root: Issuer, ca: Issuer, pair: tuple[IssuedCertificate, IssuedCertificate], tmp_path: Path) -> Path:
    pems = {"root": root.certificate_pem, "ca": ca.certificate_pem, "good": pair[0].pem, "bad": pair[1].pem}
    for name, pem in pems.items():
        (tmp_path / f"{name}.pem").write_text(pem)
    return tmp_path


@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
@pytest.mark.parametrize("digest", ["-sha1", "-sha256", "-sha512"])
def test_openssl_asks_about_two_at_once_and_believes_the_answer(nonce: str, digest: str, url: str, files: Path) -> None:
    said = openssl(
        "ocsp", "-url", f"{url}/pki/north-ca/ocsp", nonce, digest, "-issuer", files / "ca.pem",
        "-cert", files / "good.pem", digest, "-cert", files / "bad.pem", "-CAfile", files / "root.pem",
        "-verify_other", files / "ca.pem",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert "WARNING" not in said  # openssl warns of a nonce that does not come back
    assert f"{files / 'good.pem'}: good" in said
    assert f"{files / 'bad.pem'}: revoked" in said
    assert "Reason: keyCompromise" in said


def test_openssl_hears_of_the_issuing_ca_from_the_root(url: str, files: Path) -> None:
    said = openssl(
        "ocsp", "-url", f"{url}/pki/north-root/ocsp", "-issuer", files / "root.pem", "-cert", files / "ca.pem",
        "-CAfile", files / "root.pem",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert f"{files / 'ca.pem'}: good" in said


def test_openssl_is_told_that_another_ca_is_none_of_ours(url: str, files: Path) -> None:
    said = openssl(
        "ocsp", "-url", f"{url}/pki/north-root/ocsp", "-issuer", files / "ca.pem", "-cert", files / "good.pem",
        check=False,
    )  # fmt: skip
    assert "Responder Error: unauthorized (6)" in said


def test_openssl_is_told_that_a_serial_was_never_issued(url: str, files: Path) -> None:
    said = openssl(
        "ocsp", "-url", f"{url}/pki/north-ca/ocsp", "-issuer", files / "ca.pem", "-serial", "0x77",
        "-CAfile", files / "root.pem", "-verify_other", files / "ca.pem",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert "0x77: unknown" in said


def test_gnutls_asks_with_a_nonce_and_believes_the_answer(url: str, files: Path) -> None:
    for name, status in (("good", "good"), ("bad", "revoked")):
        (files / "chain.pem").write_text((files / f"{name}.pem").read_text() + (files / "ca.pem").read_text())
        words: list[str | Path] = ["ocsptool", f"--ask={url}/pki/north-ca/ocsp", "--nonce"]
        words += ["--load-chain", files / "chain.pem", "--load-trust", files / "ca.pem"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert f"Certificate Status: {status}" in done.stdout, done.stdout + done.stderr
        assert "Verifying OCSP Response: Success" in done.stdout


@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
@pytest.mark.parametrize("name", ["good", "bad"])
def test_pkilint_finds_no_fault_in_an_answer(nonce: str, name: str, url: str, files: Path) -> None:
    openssl(
        "ocsp", "-url", f"{url}/pki/north-ca/ocsp", nonce, "-issuer", files / "ca.pem", "-cert", files / f"{name}.pem",
        "-respout", files / "answer.der", "-noverify",
    )  # fmt: skip
    assert pkilint("lint_ocsp_response", files / "answer.der", "--document-format", "DER") == []


def test_openssl_downloads_the_crl_and_refuses_the_revoked_one(
    url: str, ca: Issuer, files: Path, now: datetime
) -> None:
    for slug in ("north-ca", "north-root"):
        curl(f"{url}/pki/{slug}/crl.pem", "-o", str(files / f"{slug}.crl"))
    services.publish_crl(issuer=ca.id, now=now)
    time.sleep(0.35)  # the shelf is looked through each third of a second
    curl(f"{url}/pki/north-ca/crl.pem", "-o", str(files / "north-ca.crl"))
    (files / "crls.pem").write_text((files / "north-ca.crl").read_text() + (files / "north-root.crl").read_text())
    for name, verdict in (("good", "OK"), ("bad", "certificate revoked")):
        said = openssl(
            "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-CRLfile", files / "crls.pem",
            "-CAfile", files / "root.pem", "-untrusted", files / "ca.pem", files / f"{name}.pem", check=False,
        )  # fmt: skip
        assert verdict in said


def test_certtool_verifies_the_crl(url: str, files: Path) -> None:
    curl(f"{url}/pki/north-ca/crl.pem", "-o", str(files / "crl.pem"))
    words: list[str | Path] = ["certtool", "--verify-crl", "--infile", files / "crl.pem"]
    words += ["--load-ca-certificate", files / "ca.pem"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Verified" in done.stdout, done.stdout + done.stderr


def test_curl_fetches_once_and_then_only_asks(url: str, files: Path) -> None:
    address, kept = f"{url}/pki/north-ca/crl", files / "crl.der"
    assert "HTTP/1.0 200" in curl(address, "-D", "-", "--etag-save", str(files / "etag"), "-o", str(kept))
    assert "HTTP/1.0 304" in curl(address, "-D", "-", "--etag-compare", str(files / "etag"), "-o", str(files / "again"))
    curl(address, "-r", "0-99", "-o", str(files / "first"))
    curl(address, "-r", "100-", "-o", str(files / "rest"))
    assert (files / "first").read_bytes() + (files / "rest").read_bytes() == kept.read_bytes()
    assert "Content-Length: " + str(kept.stat().st_size) in curl(address, "-I")


def test_curl_fetches_the_chain_that_openssl_verifies_with(url: str, files: Path) -> None:
    curl(f"{url}/pki/north-ca/chain.pem", "-o", str(files / "chain.pem"))
    curl(f"{url}/pki/north-ca/cert", "-o", str(files / "ca.der"))
    said = openssl("verify", "-CAfile", files / "root.pem", "-untrusted", files / "chain.pem", files / "good.pem")
    assert said.strip().endswith("OK")
    assert openssl("x509", "-inform", "DER", "-in", files / "ca.der") == (files / "ca.pem").read_text()


def curl(address: str, *options: str) -> str:
    done = subprocess.run(["curl", "-sS", *options, address], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout
