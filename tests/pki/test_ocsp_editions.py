"""Editions made from the database: bounded runs, answers that others verify, and what becomes true afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from kernel.core.ids import new_id
from kernel.services.alone import alone
from pki import services, tasks
from pki.core.crl import encode_entry
from pki.core.ocsp_edition import Edition
from pki.core.ocsp_request import build_request
from pki.core.values import CertificateId, CertificateState, Issuer, IssuerId, KeyAlgorithm, ReasonCode
from pki.models import Certificate
from pki.services import ocsp_answers
from pki.services import ocsp_editions as preparing
from pki.services.answer_ocsp import Responder
from pki.services.ocsp_answers import OcspAnswer
from pki.services.ocsp_editions import Progress
from pki.services.ocsp_index import edition_path
from tests.cast import ADA, NORTH
from tests.pki.conftest import openssl, pkilint

COUNT = 30
Serials = dict[str, int]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    monkeypatch.setattr(preparing, "FEWEST", 10)
    monkeypatch.setattr(preparing, "PAGE", 7)


@pytest.fixture
def serials(ca: Issuer, now: datetime) -> Serials:
    """Certificates without octets, as the index sees them: good ones, and one of each other sort."""
    rows = {f"good-{number}": row(ca, (1 << 158) + 7 * number, now) for number in range(COUNT)}
    rows["short"] = row(ca, 0x1234, now)
    rows["ended"] = row(ca, (1 << 158) + 3, now, ends_at=now - timedelta(days=1))
    rows["revoked"] = row(ca, (1 << 158) + 4, now, reason=ReasonCode.KEY_COMPROMISE)
    rows["held"] = row(ca, (1 << 158) + 5, now, reason=ReasonCode.CERTIFICATE_HOLD)
    Certificate.objects.bulk_create(rows.values())
    return {name: int(each.serial, 16) for name, each in rows.items()}


def row(
    ca: Issuer, serial: int, now: datetime, *, ends_at: datetime | None = None, reason: ReasonCode | None = None
) -> Certificate:
    held = reason is ReasonCode.CERTIFICATE_HOLD
    state = CertificateState.HELD if held else CertificateState.REVOKED if reason else CertificateState.ISSUED
    at = (now - timedelta(days=3)).replace(microsecond=0)
    name = f"{serial:x}"
    return Certificate(
        id=new_id(),
        domain_id=ca.domain,
        issuer_id=ca.id,
        serial=name.zfill(len(name) + len(name) % 2),
        holder=f"device:{name}"[:64],
        profile="device",
        state=state,
        subject="CN=x",
        public_key_sha256=name,
        der=b"\x30\x00",
        not_before=now - timedelta(days=9),
        not_after=ends_at or now + timedelta(days=9),
        requested_at=now - timedelta(days=9),
        revoked_at=at if reason else None,
        reason=reason or "",
        crl_entry=encode_entry(serial=serial, revoked_at=at, reason=reason) if reason else None,
    )


def plain(ca: Issuer, serial: int, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    """A request as the library makes it."""
    issuer = x509.load_der_x509_certificate(ca.certificate_der)
    if algorithm is None:
        algorithm = hashes.SHA1()
    from tests.pki.test_revocation import _hashes

    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(*_hashes(issuer, algorithm), serial, algorithm)
    return builder.build().public_bytes(Encoding.DER)


def ask(responder: Responder, ca: Issuer, serial: int, now: datetime) -> ocsp.OCSPResponse:
    answer = responder.answer(ca.slug, plain(ca, serial), now=now)
    assert answer is not None
    return verified(answer)


def verified(answer: OcspAnswer) -> ocsp.OCSPResponse:
    response = ocsp.load_der_ocsp_response(answer.der)
    [signer] = response.certificates
    public_key = signer.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert response.signature_hash_algorithm is not None
    public_key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
    return response


@pytest.fixture
def unsigned(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on the responder may sign nothing."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("an answer was signed that was prepared")

    return lambda: monkeypatch.setattr(ocsp_answers, "build_response", refuse)


def test_good_and_revoked_are_answered_without_a_signature(
    ca: Issuer, serials: Serials, now: datetime, unsigned: Callable[[], None]
) -> None:
    assert services.prepare_ocsp_answers(issuer=ca.id, now=now) is Progress.FINISHED
    unsigned()
    responder = Responder()
    for name, serial in serials.items():
        if name in {"ended", "short"}:
            continue
        response = ask(responder, ca, serial, now)
        assert response.serial_number == serial
        assert response.this_update_utc == now.replace(microsecond=0)
        assert response.next_update_utc == response.this_update_utc + timedelta(hours=1)
        if name.startswith("good"):
            assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
        else:
            assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
            assert response.revocation_time_utc == (now - timedelta(days=3)).replace(microsecond=0)
    reasons = {name: ask(responder, ca, serials[name], now).revocation_reason for name in ("revoked", "held")}
    assert reasons == {"revoked": x509.ReasonFlags.key_compromise, "held": x509.ReasonFlags.certificate_hold}


@pytest.mark.parametrize("name", ["good-3", "revoked", "held"])
def test_openssl_believes_a_prepared_answer_and_pkilint_finds_no_fault(
    name: str, ca: Issuer, serials: Serials, now: datetime, unsigned: Callable[[], None], tmp_path: Path
) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    unsigned()
    answer = Responder().answer(ca.slug, plain(ca, serials[name]), now=now)
    assert answer is not None
    (tmp_path / "answer.der").write_bytes(answer.der)
    (tmp_path / "ca.pem").write_text(ca.certificate_pem)
    said = openssl(
        "ocsp", "-respin", tmp_path / "answer.der", "-no_nonce", "-CAfile", tmp_path / "ca.pem", "-partial_chain",
        "-issuer", tmp_path / "ca.pem", "-serial", f"0x{serials[name]:x}",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert f": {'good' if name == 'good-3' else 'revoked'}" in said
    assert pkilint("lint_ocsp_response", tmp_path / "answer.der", "--document-format", "DER") == []


def test_other_hashes_nonces_and_odd_serials_are_signed_when_asked(ca: Issuer, serials: Serials, now: datetime) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    responder = Responder()
    for octets in (plain(ca, serials["short"]), plain(ca, serials["good-1"], hashes.SHA256())):
        answer = responder.answer(ca.slug, octets, now=now)
        assert answer is not None
        assert verified(answer).certificate_status is ocsp.OCSPCertStatus.GOOD
    issuer = x509.load_der_x509_certificate(ca.certificate_der)
    ours = responder.answer(ca.slug, build_request(issuer=issuer, serial=serials["good-2"]), now=now)
    assert ours is not None
    assert verified(ours).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_revocation_since_the_edition_counts_and_so_does_a_release(
    ca: Issuer, serials: Serials, now: datetime
) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    responder = Responder()
    good, held = (Certificate.objects.get(serial=f"{serials[name]:x}") for name in ("good-5", "held"))
    assert ask(responder, ca, serials["good-5"], now).certificate_status is ocsp.OCSPCertStatus.GOOD
    services.revoke_certificate(certificate=CertificateId(good.id), reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    services.release_certificate(certificate=CertificateId(held.id), actor=ADA, now=now)
    later = now + timedelta(seconds=0.31)
    assert ask(responder, ca, serials["good-5"], later).certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert ask(responder, ca, serials["held"], later).certificate_status is ocsp.OCSPCertStatus.GOOD
    fresh = Responder()  # of a process that started after it
    assert ask(fresh, ca, serials["good-5"], later).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_a_prepared_answer_is_not_served_to_its_end(
    ca: Issuer, serials: Serials, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    responder = Responder()
    for minutes, age in ((44, 44), (46, 0), (200, 0)):
        later = now + timedelta(minutes=minutes)
        response = ask(responder, ca, serials["good-1"], later)
        assert response.this_update_utc == (later - timedelta(minutes=age)).replace(microsecond=0)


def test_after_a_clock_was_set_back_no_answer_is_of_the_future(ca: Issuer, serials: Serials, now: datetime) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    responder = Responder()
    assert ask(responder, ca, serials["good-1"], now).this_update_utc == now.replace(microsecond=0)
    earlier = now - timedelta(minutes=4)  # the signer was valid then, since its certificate is backdated
    assert ask(responder, ca, serials["good-1"], earlier).this_update_utc == earlier.replace(microsecond=0)


def test_a_certificate_that_ends_is_good_no_more_without_an_archive_cutoff(
    ca: Issuer, serials: Serials, now: datetime
) -> None:
    Certificate.objects.filter(serial=f"{serials['good-1']:x}").update(not_after=now + timedelta(minutes=5))
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    responder = Responder()
    assert b"archive" not in ask(responder, ca, serials["good-1"], now).tbs_response_bytes
    later = now + timedelta(minutes=6)
    response = ask(responder, ca, serials["good-1"], later)
    assert response.this_update_utc == later.replace(microsecond=0)
    [cutoff] = response.single_extensions
    assert cutoff.oid.dotted_string == "1.3.6.1.5.5.7.48.1.6"


def test_a_run_without_time_leaves_a_draft_and_the_next_goes_on(ca: Issuer, serials: Serials, now: datetime) -> None:
    path = edition_path(ca.id)
    assert services.prepare_ocsp_answers(issuer=ca.id, now=now, seconds=0) is Progress.DRAFT
    assert not path.exists()
    later = now + timedelta(minutes=1)
    assert services.prepare_ocsp_answers(issuer=ca.id, now=later) is Progress.FINISHED
    edition = Edition(path)
    assert edition.count == COUNT + 5  # with the CA's OCSP signer
    assert edition.imprint.this_update == int(now.timestamp())
    assert services.prepare_ocsp_answers(issuer=ca.id, now=now + timedelta(minutes=29)) is Progress.FRESH
    assert services.prepare_ocsp_answers(issuer=ca.id, now=now + timedelta(minutes=31)) is Progress.FINISHED


def test_an_old_draft_is_begun_anew(ca: Issuer, serials: Serials, now: datetime) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now, seconds=0)
    later = now + timedelta(minutes=21)
    services.prepare_ocsp_answers(issuer=ca.id, now=later)
    assert Edition(edition_path(ca.id)).imprint.this_update == int(later.timestamp())


def test_two_processes_do_not_make_the_same_edition(ca: Issuer, serials: Serials, now: datetime) -> None:
    edition_path(ca.id).parent.mkdir()
    with alone(edition_path(ca.id).with_suffix(".lock")) as is_alone:
        assert is_alone
        assert services.prepare_ocsp_answers(issuer=ca.id, now=now) is Progress.ELSEWHERE


def test_an_issuer_with_few_certificates_needs_no_edition(root: Issuer, now: datetime) -> None:
    assert services.prepare_ocsp_answers(issuer=root.id, now=now) is Progress.NOT_NEEDED


def test_a_running_process_takes_a_new_edition(
    ca: Issuer, serials: Serials, now: datetime, unsigned: Callable[[], None]
) -> None:
    responder = Responder()
    assert ask(responder, ca, serials["good-1"], now).certificate_status is ocsp.OCSPCertStatus.GOOD
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    unsigned()
    later = now + timedelta(seconds=1)
    assert ask(responder, ca, serials["good-2"], later).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_damaged_edition_costs_speed_alone(ca: Issuer, serials: Serials, now: datetime) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    octets = edition_path(ca.id).read_bytes()
    edition_path(ca.id).write_bytes(octets[:-9] + b"\x00" * 9)
    assert ask(Responder(), ca, serials["good-1"], now).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_answers_of_a_signer_that_was_revoked_are_not_served(ca: Issuer, serials: Serials, now: datetime) -> None:
    services.prepare_ocsp_answers(issuer=ca.id, now=now)
    responder = Responder()
    [before] = ask(responder, ca, serials["good-1"], now).certificates
    signer = Certificate.objects.get(issuer_id=ca.id, profile="ocsp-signer")
    services.revoke_certificate(
        certificate=CertificateId(signer.id), reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now
    )
    services.ensure_ocsp_signer(issuer=ca.id, now=now)
    [after] = ask(responder, ca, serials["good-1"], now + timedelta(seconds=1)).certificates
    assert before.serial_number == int(signer.serial, 16)
    assert after.serial_number != before.serial_number


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_3072, KeyAlgorithm.ED25519, KeyAlgorithm.ECDSA_P384])
def test_every_kind_of_key_has_an_edition(algorithm: KeyAlgorithm, db: None, now: datetime) -> None:
    ca = services.create_root(
        domain=NORTH, slug="other", common_name="Other", key_algorithm=algorithm, actor=ADA, now=now
    )
    Certificate.objects.bulk_create([row(ca, (1 << 158) + number, now) for number in range(COUNT)])
    assert services.prepare_ocsp_answers(issuer=ca.id, now=now) is Progress.FINISHED
    imprint = Edition(edition_path(ca.id)).imprint
    assert imprint.signature_octets == {"rsa-3072": 0, "ed25519": 64, "ecdsa-p384": 104}[algorithm]
    answer = Responder().answer("other", plain(ca, (1 << 158) + 1), now=now)
    assert answer is not None
    assert ocsp.load_der_ocsp_response(answer.der).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_the_task_prepares_each_issuer_and_one_that_fails_keeps_no_other_waiting(
    root: Issuer, ca: Issuer, serials: Serials, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = services.prepare_ocsp_answers

    def fail_for_the_root(*, issuer: IssuerId, now: datetime, seconds: float) -> Progress:
        if issuer == root.id:
            raise OSError("the disk is full")
        return prepare(issuer=issuer, now=now, seconds=seconds)

    monkeypatch.setattr(services, "prepare_ocsp_answers", fail_for_the_root)
    tasks.prepare_ocsp()
    assert Edition(edition_path(ca.id)).count == COUNT + 5
