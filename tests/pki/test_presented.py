"""Whom a presented certificate proves, and what each domain sees of itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from pki import queries, services
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.queries import CertificateRefused
from tests.cast import ADA, CY, NORTH, SOUTH
from tests.pki.conftest import IssueDevice, make_csr


def chain_of(issued: IssuedCertificate) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((issued.pem + issued.chain_pem).encode())


def code_of(chain: list[x509.Certificate], now: datetime) -> str:
    with pytest.raises(CertificateRefused) as caught:
        queries.verify_presented(chain=chain, now=now)
    assert caught.value.detail.endswith(".")
    return caught.value.code


def test_a_certificate_of_ours_proves_its_holder(issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("pump-1")
    found = queries.verify_presented(chain=chain_of(device), now=now)
    assert (found.id, found.holder) == (device.id, device.holder)
    last = device.not_after - timedelta(seconds=1)
    assert queries.verify_presented(chain=chain_of(device)[:1], now=last).id == device.id


def test_a_certificate_is_refused_outside_its_time(issue_device: IssueDevice) -> None:
    device = issue_device("x")
    for moment in (device.not_after, device.not_before - timedelta(seconds=1)):
        assert code_of(chain_of(device), moment) == "certificate-expired"


def test_a_certificate_is_refused_once_it_is_held_or_revoked(issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    assert code_of(chain_of(device), now) == "certificate-revoked"
    services.release_certificate(certificate=device.id, actor=ADA, now=now)
    assert queries.verify_presented(chain=chain_of(device), now=now).id == device.id
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    assert code_of(chain_of(device), now) == "certificate-revoked"


def test_a_certificate_is_refused_once_its_issuer_is_revoked(issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    [issuer] = queries.certificates_of(holder="issuer:north-ca")
    services.revoke_certificate(certificate=issuer.id, reason=ReasonCode.CA_COMPROMISE, actor=ADA, now=now)
    assert code_of(chain_of(device), now) == "certificate-revoked"


def test_a_forgery_with_the_same_names_and_serial_is_unknown(issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    real = chain_of(device)[0]
    forger = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        real.issuer, real.subject, real.public_key(), real.serial_number, real.not_valid_before_utc,
        real.not_valid_after_utc, [*real.extensions],
    )  # fmt: skip
    assert code_of([builder.sign(forger, SHA256())], now) == "certificate-unknown"
    assert code_of([], now) == "certificate-unknown"


def test_a_certificate_for_something_else_proves_no_client(
    root: Issuer, ca: Issuer, now: datetime, tmp_path: Path
) -> None:
    server = services.issue_certificate(
        issuer=ca.id, profile="broker-server", csr=make_csr(tmp_path, "mq"), holder="broker:1",
        variables={"common_name": "mq"}, dns_names=["mq"], actor=ADA, now=now,
    )  # fmt: skip
    assert code_of(chain_of(server), now) == "certificate-usage"
    assert code_of([x509.load_der_x509_certificate(ca.certificate_der)], now) == "certificate-usage"
    assert code_of([x509.load_der_x509_certificate(root.certificate_der)], now) == "certificate-unknown"


def test_a_domain_trusts_its_own_issuers_alone(root: Issuer, ca: Issuer, now: datetime) -> None:
    south = services.create_root(domain=SOUTH, slug="south-root", common_name="South", actor=CY, now=now)
    assert queries.trust_bundle(domain=NORTH) == root.certificate_pem + ca.certificate_pem
    assert queries.trust_bundle(domain=SOUTH) == south.certificate_pem
    assert [issuer.slug for issuer in queries.list_issuers(domains=[SOUTH])] == ["south-root"]
    assert queries.crl_bundle(domain=NORTH).count("BEGIN X509 CRL") == 2


def test_a_certificate_is_found_by_what_names_it(ca: Issuer, issue_device: IssueDevice) -> None:
    device = issue_device("x")
    assert queries.find_certificate_by_fingerprint(sha256_hex=device.fingerprint) == device
    assert queries.find_certificate_by_fingerprint(sha256_hex="00" * 32) is None
    assert queries.find_certificate_by_serial(issuer=ca.id, serial=device.serial) == device
    assert queries.certificates_by_id(ids=[device.id]) == {device.id: device}
    assert queries.holder_of_key(public_key_sha256=device.public_key_sha256) == device.holder
    assert chain_of(device)[0].fingerprint(SHA256()).hex() == device.fingerprint
    assert device.chain_pem == ca.certificate_pem  # without the root


def test_the_ocsp_signer_is_known_until_it_ends(ca_of_now: Issuer, now: datetime) -> None:
    end = queries.ocsp_signer_ends_at(issuer=ca_of_now.id)
    assert end == (now + timedelta(days=14)).replace(microsecond=0)
