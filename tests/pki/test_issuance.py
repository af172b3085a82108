"""Certificates as openssl and pkilint see them, and what is refused."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pki import queries, services
from pki.core.csr import BadCsrSignature, MalformedCsr, WeakKey
from pki.core.pem import encode_pem
from pki.core.values import CertificateState, IssuedCertificate, Issuer, KeyAlgorithm, ReasonCode
from pki.models import Certificate
from pki.services.issue_certificate import KeyInUse
from pki.services.signers import NotIssuing
from tests.cast import ADA, NORTH
from tests.pki.conftest import IssueDevice, make_csr, openssl, pkilint


def test_openssl_verifies_a_device_certificate_and_its_crl(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, tmp_path: Path
) -> None:
    device = issue_device("pump-1")
    (tmp_path / "leaf.pem").write_text(device.pem)
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    (tmp_path / "ca.pem").write_text(ca.certificate_pem)
    (tmp_path / "crls.pem").write_text(queries.crl_bundle(domain=NORTH))
    said = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-CRLfile", tmp_path / "crls.pem",
        "-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "ca.pem", tmp_path / "leaf.pem",
    )  # fmt: skip
    assert said.strip().endswith("OK")


def test_openssl_reads_what_the_device_profile_promises(ca: Issuer, issue_device: IssueDevice) -> None:
    device = issue_device("pump-2")
    text = openssl("x509", "-noout", "-text", given=device.pem.encode())
    assert "Subject: CN = pump-2" in text
    assert f"URI:urn:gatehouse:north:{device.holder}" in text
    assert "X509v3 Key Usage: critical\n                Digital Signature\n" in text
    assert "TLS Web Client Authentication" in text
    assert "OCSP - URI:http://127.0.0.1:8000/pki/north-ca/ocsp" in text
    assert "CA Issuers - URI:http://127.0.0.1:8000/pki/north-ca/cert" in text
    assert "URI:http://127.0.0.1:8000/pki/north-ca/crl" in text
    serial = openssl("x509", "-noout", "-serial", given=device.pem.encode()).strip().removeprefix("serial=")
    assert serial.lower() == device.serial_hex


def test_validity_is_backdated_and_ends_with_the_issuer(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("pump-3")
    assert device.not_before == (now - timedelta(minutes=5)).replace(microsecond=0)
    assert device.not_after <= ca.not_after


@pytest.mark.parametrize("algorithm", [each for each in KeyAlgorithm if not each.startswith(("rsa-4096", "ml-dsa"))])
def test_every_algorithm_makes_a_chain_that_openssl_verifies(
    algorithm: KeyAlgorithm, db: None, now: datetime, tmp_path: Path
) -> None:
    root = services.create_root(domain=NORTH, slug="r", common_name="R", key_algorithm=algorithm, actor=ADA, now=now)
    ca = services.create_issuing_ca(
        parent=root.id, slug="c", common_name="C", key_algorithm=algorithm, actor=ADA, now=now
    )
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    (tmp_path / "ca.pem").write_text(ca.certificate_pem)
    assert "OK" in openssl("verify", "-x509_strict", "-CAfile", tmp_path / "root.pem", tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rsa1024", ("-newkey", "rsa:1024")),
        ("rsa-e3", ("-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3")),
        ("p192", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime192v1")),
        ("secp256k1", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1")),
    ],
)
def test_a_weak_key_is_refused(name: str, options: tuple[str, ...], ca: Issuer, now: datetime, tmp_path: Path) -> None:
    csr = make_csr(tmp_path, name, *options)
    with pytest.raises(WeakKey):
        _issue(ca, csr, "device:x", now)
    assert not Certificate.objects.filter(holder="device:x").exists()


def test_a_request_whose_signature_was_broken_is_refused(ca: Issuer, now: datetime, tmp_path: Path) -> None:
    make_csr(tmp_path, "a")
    words: list[str | Path] = ["openssl", "req", "-in", tmp_path / "a.csr", "-outform", "DER"]
    der = bytearray(subprocess.run(words, capture_output=True, check=True).stdout)
    der[der.index(b"\x0c\x01a") + 2] = ord("b")  # another name than was signed
    with pytest.raises(BadCsrSignature):
        _issue(ca, bytes(der), "device:x", now)


@pytest.mark.parametrize(
    "junk", [b"", b"x", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", b"0" * 20_000]
)
def test_junk_is_no_request(junk: bytes, ca: Issuer, now: datetime) -> None:
    with pytest.raises(MalformedCsr):
        _issue(ca, junk, "device:x", now)


def test_a_key_of_another_holder_is_refused(ca: Issuer, now: datetime, tmp_path: Path) -> None:
    csr = make_csr(tmp_path, "shared")
    first = _issue(ca, csr, "device:first", now)
    with pytest.raises(KeyInUse):
        _issue(ca, csr, "device:second", now)
    assert _issue(ca, csr, "device:first", now).serial != first.serial


def test_a_request_that_was_never_stored_ends_revoked(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("crashed")
    Certificate.objects.filter(id=device.id).update(state="requested", der=None, fingerprint=None)
    assert services.abandon_unsigned(now=now + timedelta(minutes=5)) == []
    assert services.abandon_unsigned(now=now + timedelta(minutes=11)) == [device.id]
    assert queries.get_certificate(id=device.id).state is CertificateState.REVOKED
    assert services.publish_crl(issuer=ca.id, now=now + timedelta(minutes=11)).entries == 1


@pytest.mark.parametrize("kind", ["root", "ca", "device", "application", "server", "ocsp"])
def test_pkilint_finds_no_fault(
    kind: str, root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime, tmp_path: Path
) -> None:
    match kind:
        case "root":
            pem = root.certificate_pem
        case "ca":
            pem = ca.certificate_pem
        case "device":
            pem = issue_device("linted").pem
        case "application":
            pem = services.issue_certificate(
                issuer=ca.id, profile="application", csr=make_csr(tmp_path, "app"), holder="application:1",
                variables={"auth_id": "billing", "domain": "north", "id": "1"}, actor=ADA, now=now,
            ).pem  # fmt: skip
        case "server":
            pem = services.issue_certificate(
                issuer=ca.id, profile="broker-server", csr=make_csr(tmp_path, "srv"), holder="broker:1",
                variables={"common_name": "mq.example"}, dns_names=["mq.example"], ip_addresses=["127.0.0.1", "::1"],
                actor=ADA, now=now,
            ).pem  # fmt: skip
        case _:
            [signer] = queries.certificates_of(holder="ocsp:north-ca")
            pem = signer.pem
    (tmp_path / "lint.pem").write_text(pem)
    assert pkilint("lint_pkix_cert", tmp_path / "lint.pem") == []


def test_pkilint_finds_no_fault_in_a_crl_with_entries(
    ca: Issuer, issue_device: IssueDevice, now: datetime, tmp_path: Path
) -> None:
    for name, reason in (("a", ReasonCode.UNSPECIFIED), ("b", ReasonCode.KEY_COMPROMISE)):
        services.revoke_certificate(certificate=issue_device(name).id, reason=reason, actor=ADA, now=now)
    crl = services.publish_crl(issuer=ca.id, now=now)
    (tmp_path / "crl.pem").write_text(encode_pem("X509 CRL", crl.der))
    assert pkilint("lint_crl", tmp_path / "crl.pem", "-t", "CRL", "-p", "PKIX") == []


def _issue(ca: Issuer, csr: bytes, holder: str, now: datetime) -> IssuedCertificate:
    variables = {"auth_id": "x", "domain": "north", "id": "x"}
    return services.issue_certificate(
        issuer=ca.id, profile="device", csr=csr, holder=holder, variables=variables, actor=ADA, now=now
    )


def test_a_ca_whose_certificate_is_on_hold_or_revoked_issues_nothing(issue_device: IssueDevice, now: datetime) -> None:
    [own] = queries.certificates_of(holder="issuer:north-ca")
    services.hold_certificate(certificate=own.id, actor=ADA, now=now)
    with pytest.raises(NotIssuing, match="on hold"):
        issue_device("a")
    services.release_certificate(certificate=own.id, actor=ADA, now=now)
    issue_device("b")
    services.revoke_certificate(certificate=own.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    with pytest.raises(NotIssuing, match="revoked"):
        issue_device("c")
