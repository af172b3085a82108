"""Whose OCSP answers there are: of superseded, revoked, retired, offline and others' issuers; and who signs them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki import services
from pki.core.ca_files import read_key
from pki.core.ocsp_request import build_request
from pki.core.signing_file import read_orders, sign_orders
from pki.core.values import Custody, IssuedCertificate, Issuer, KeyAlgorithm, ReasonCode
from pki.models import Certificate, Key, OcspSigner
from pki.models import Issuer as IssuerRow
from pki.services.answer_ocsp import Responder
from tests.cast import ADA, NORTH
from tests.pki.conftest import IssueDevice, openssl
from tests.pki.outside_ca import outside_root

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
TRY_LATER, UNAUTHORIZED = ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED


def ask(ca: Issuer, serial: int, *, now: datetime, responder: Responder | None = None) -> ocsp.OCSPResponse:
    octets = build_request(issuer=x509.load_der_x509_certificate(ca.certificate_der), serial=serial)
    answer = (responder or Responder()).answer(ca.slug, octets, now=now)
    assert answer is not None
    return ocsp.load_der_ocsp_response(answer.der)


def signer_in(response: ocsp.OCSPResponse) -> int:
    [certificate] = response.certificates
    return certificate.serial_number


@pytest.fixture
def device(issue_device: IssueDevice) -> IssuedCertificate:
    return issue_device("pump-1")


def test_a_superseded_issuer_answers_with_signers_of_its_own(
    ca: Issuer, device: IssuedCertificate, now: datetime, tmp_path: Path
) -> None:
    services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now)
    later = now + timedelta(days=10)
    services.ensure_ocsp_signer(issuer=ca.id, now=later)
    response = ask(ca, device.serial, now=later)
    assert response.certificate_status is GOOD
    [signer] = response.certificates
    signer.verify_directly_issued_by(x509.load_der_x509_certificate(ca.certificate_der))
    assert signer.not_valid_after_utc > later + timedelta(days=10)


@pytest.mark.parametrize(
    ("reason", "status"),
    [(ReasonCode.CA_COMPROMISE, REVOKED), (ReasonCode.KEY_COMPROMISE, REVOKED), (ReasonCode.SUPERSEDED, GOOD)],
)
def test_all_is_revoked_that_a_compromised_key_signed(
    reason: ReasonCode, status: ocsp.OCSPCertStatus, root: Issuer, ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    responder = Responder()
    assert ask(ca, device.serial, now=now, responder=responder).certificate_status is GOOD
    services.revoke_issuer(issuer=ca.id, reason=reason, actor=ADA, now=now)
    response = ask(ca, device.serial, now=now + timedelta(seconds=0.31), responder=responder)
    assert response.certificate_status is status
    if status is REVOKED:  # RFC 6960 2.7
        assert response.revocation_reason is x509.ReasonFlags.ca_compromise
        assert response.revocation_time_utc == now.replace(microsecond=0)
    assert ask(root, ca.serial, now=now).certificate_status is REVOKED


def test_a_root_is_asked_about_itself(root: Issuer, now: datetime) -> None:
    assert (
        ask(root, root.serial, now=now).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    )  # it is no entry of its own


def test_the_signer_s_own_certificate_is_good(ca: Issuer, now: datetime) -> None:
    signer = Certificate.objects.get(issuer_id=ca.id, profile="ocsp-signer")
    assert ask(ca, int(signer.serial, 16), now=now).certificate_status is GOOD


def test_a_cross_signed_issuer_is_asked_by_the_same_hashes(
    root: Issuer, ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    other = services.create_root(domain=NORTH, slug="other", common_name="Other Root", actor=ADA, now=now)
    cross = services.cross_sign(issuer=ca.id, signer=other.id, actor=ADA, now=now)
    certificate = x509.load_pem_x509_certificate(cross.certificate_pem.encode())
    assert certificate.issuer == x509.load_der_x509_certificate(other.certificate_der).subject
    octets = build_request(issuer=certificate, serial=device.serial)
    answer = Responder().answer(ca.slug, octets, now=now)
    assert answer is not None
    assert ocsp.load_der_ocsp_response(answer.der).certificate_status is GOOD
    assert ask(other, certificate.serial_number, now=now).certificate_status is GOOD


def test_another_s_issuer_is_not_answered_for(root: Issuer, ca: Issuer, now: datetime) -> None:
    IssuerRow.objects.filter(id=ca.id).update(kind="trusted", key=None)
    OcspSigner.objects.filter(issuer_id=ca.id).delete()
    assert ask(ca, 77, now=now).response_status is UNAUTHORIZED
    services.ensure_ocsp_signer(issuer=ca.id, now=now)  # does nothing
    assert not OcspSigner.objects.filter(issuer_id=ca.id).exists()


def test_a_retired_issuer_is_not_answered_for_once_its_signer_has_ended(ca: Issuer, now: datetime) -> None:
    IssuerRow.objects.filter(id=ca.id).update(state="retired")
    assert ask(ca, 77, now=now).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert ask(ca, 77, now=now + timedelta(days=15)).response_status is UNAUTHORIZED


def test_an_online_issuer_without_a_signer_has_to_wait(ca: Issuer, now: datetime) -> None:
    assert ask(ca, 77, now=now + timedelta(days=15)).response_status is TRY_LATER


def test_an_offline_issuer_answers_with_the_signer_that_was_signed_elsewhere(
    db: None, now: datetime, tmp_path: Path
) -> None:
    now += timedelta(minutes=1)  # when what openssl signs now has begun
    vault = outside_root(tmp_path, "Offline Root")
    root = services.import_offline_issuer(
        domain=NORTH, slug="vault", certificate=vault.certificate.read_bytes(), actor=ADA, now=now
    )
    assert ask(root, 77, now=now).response_status is UNAUTHORIZED  # nobody can sign for it, now or in a minute
    signed = sign_orders(
        read_orders(services.export_signing_requests(issuer=root.id, now=now)), read_key(vault.key.read_bytes())
    )
    services.import_signatures(issuer=root.id, file=signed, actor=ADA, now=now)
    signer = Certificate.objects.get(issuer_id=root.id, profile="ocsp-signer")
    response = ask(root, int(signer.serial, 16), now=now)
    assert (response.certificate_status, signer_in(response)) == (GOOD, int(signer.serial, 16))
    ended = signer.not_after + timedelta(minutes=1)
    assert ask(root, 77, now=ended).response_status is TRY_LATER  # until the next one is brought


def test_the_next_signer_takes_over_ahead_of_time_and_has_begun_for_late_clocks(
    ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    responder = Responder()
    first = signer_in(ask(ca, device.serial, now=now, responder=responder))
    early = now + timedelta(days=9)
    services.ensure_ocsp_signer(issuer=ca.id, now=early)
    assert signer_in(ask(ca, device.serial, now=early, responder=responder)) == first
    due = now + timedelta(days=10)
    services.ensure_ocsp_signer(issuer=ca.id, now=due)
    services.ensure_ocsp_signer(issuer=ca.id, now=due)  # again is harmless
    assert OcspSigner.objects.filter(issuer_id=ca.id).count() == 2
    response = ask(ca, device.serial, now=due, responder=responder)
    [second] = response.certificates
    assert second.serial_number != first
    assert second.not_valid_before_utc <= due - timedelta(minutes=5) + timedelta(seconds=1)
    old = Certificate.objects.get(issuer_id=ca.id, serial=f"{first:040x}")
    assert old.not_after > due + timedelta(days=3)  # what it signed is believed to its end


def test_a_clock_that_went_back_finds_the_signer_that_had_begun_then(
    ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    first = signer_in(ask(ca, device.serial, now=now))
    services.ensure_ocsp_signer(issuer=ca.id, now=now + timedelta(days=10))
    assert signer_in(ask(ca, device.serial, now=now + timedelta(days=9))) == first


def test_no_answer_outlives_its_signer(ca: Issuer, device: IssuedCertificate, now: datetime) -> None:
    signer = Certificate.objects.get(issuer_id=ca.id, profile="ocsp-signer")
    response = ask(ca, device.serial, now=signer.not_after - timedelta(minutes=10))
    assert response.next_update_utc == signer.not_after


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_the_signer_has_a_key_like_its_issuer_s_and_openssl_believes_it(
    algorithm: KeyAlgorithm, db: None, now: datetime, tmp_path: Path
) -> None:
    root = services.create_root(
        domain=NORTH, slug="root", common_name="Root", key_algorithm=algorithm, actor=ADA, now=now
    )
    kept = Key.objects.get(ocspsigner__issuer_id=root.id)
    wanted = KeyAlgorithm.RSA_3072 if algorithm is KeyAlgorithm.RSA_4096 else algorithm
    assert (kept.algorithm, kept.custody) == (wanted, Custody.ENCRYPTED)
    signer = Certificate.objects.get(issuer_id=root.id)
    response = ask(root, int(signer.serial, 16), now=now)
    assert response.certificate_status is GOOD
    if algorithm.startswith("ml-dsa"):  # Debian's openssl has no ML-DSA yet: the library's does
        [certificate] = response.certificates
        certificate.public_key().verify(response.signature, response.tbs_response_bytes)  # type: ignore[union-attr, call-arg]
        return
    (tmp_path / "answer.der").write_bytes(response.public_bytes(Encoding.DER))
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    said = openssl("ocsp", "-respin", tmp_path / "answer.der", "-no_nonce", "-CAfile", tmp_path / "root.pem")
    assert "Response verify OK" in said


def test_the_signer_of_an_issuer_in_an_hsm_is_in_it_too(token: str, db: None, now: datetime) -> None:
    root = services.create_root(
        domain=NORTH, slug="root", common_name="Root", custody=Custody.PKCS11, actor=ADA, now=now
    )
    kept = Key.objects.get(ocspsigner__issuer_id=root.id)
    assert kept.custody == Custody.PKCS11
    signer = Certificate.objects.get(issuer_id=root.id)
    response = ask(root, int(signer.serial, 16), now=now)
    assert response.certificate_status is GOOD
    response.certificates[0].verify_directly_issued_by(x509.load_der_x509_certificate(root.certificate_der))
