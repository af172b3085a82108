"""What one process knows of every certificate: brought up to date by revisions and ids, and right in races."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event

import pytest
from cryptography import x509

from pki import services
from pki.core.ocsp_edition import Standing, key_of
from pki.core.ocsp_request import build_request
from pki.core.values import CertificateState, IssuedCertificate, Issuer, ReasonCode
from pki.models import Certificate
from pki.models import Issuer as IssuerRow
from pki.services import answer_ocsp, ocsp_index
from pki.services.answer_ocsp import Responder
from pki.services.ocsp_index import IssuerIndex, read_standing
from pki.services.ocsp_knowledge import Knowledge
from tests.cast import ADA
from tests.pki.conftest import IssueDevice


def good(certificate: IssuedCertificate) -> Standing:
    return Standing(int(certificate.not_after.timestamp()))


def revision_of(ca: Issuer) -> int:
    return IssuerRow.objects.get(id=ca.id).revision


def test_what_was_issued_and_revoked_before_is_known(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    one, two = issue_device("one"), issue_device("two")
    services.revoke_certificate(certificate=two.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    index = IssuerIndex.open(ca.id, revision=revision_of(ca)).keep_up(now=now)
    assert index.find(one.serial) == good(one)
    assert index.find(two.serial) == Standing(int(two.not_after.timestamp()), int(now.timestamp()), 1)
    assert index.find(77) is None


def test_what_is_issued_later_is_known_after_ten_seconds(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    index = IssuerIndex.open(ca.id, revision=0).keep_up(now=now)
    one = issue_device("one")
    assert index.keep_up(now=now + timedelta(seconds=9)).find(one.serial) is None
    assert index.keep_up(now=now + timedelta(seconds=10)).find(one.serial) == good(one)


def test_what_was_being_signed_is_looked_at_again(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    one, two = issue_device("one"), issue_device("two")
    asleep = Certificate.objects.filter(id=one.id)
    kept = asleep.values("der", "fingerprint")[0]
    asleep.update(state=CertificateState.REQUESTED, der=None, fingerprint=None)
    index = IssuerIndex.open(ca.id, revision=0).keep_up(now=now)
    assert (index.find(one.serial), index.find(two.serial)) == (None, good(two))
    asleep.update(state=CertificateState.ISSUED, **kept)
    assert index.keep_up(now=now + timedelta(minutes=5)).find(one.serial) == good(one)


def test_revoking_holding_and_releasing_come_with_the_revision(
    ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("one")
    index = IssuerIndex.open(ca.id, revision=0).keep_up(now=now)
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    index.take_changes(1)
    assert index.find(device.serial) == Standing(int(device.not_after.timestamp()), int(now.timestamp()), 6)
    services.release_certificate(certificate=device.id, actor=ADA, now=now)
    index.take_changes(2)
    assert index.find(device.serial) == good(device)


def test_an_answer_read_before_a_revocation_is_not_kept_after_it(
    ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("one")
    index = IssuerIndex.open(ca.id, revision=0)
    read = read_standing(ca.id, device.serial)
    assert read == good(device)
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    index.take_changes(1)
    index.remember(device.serial, read, revision=0)
    found = index.find(device.serial)
    assert found is not None
    assert found.revoked_at


def test_more_changes_than_memory_is_for_leave_it_to_the_database(
    ca: Issuer, issue_device: IssueDevice, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocsp_index, "MAX_CHANGES", 2)
    devices = [issue_device(name) for name in ("one", "two", "three")]
    index = IssuerIndex.open(ca.id, revision=0).keep_up(now=now)
    assert len(index.changes) == 2  # the first two: the CA's OCSP signer and one device
    for device in devices:
        services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    index.take_changes(3)
    assert index.overflowed
    assert [index.find(device.serial) for device in devices] == [None] * 3
    assert all(read_standing(ca.id, device.serial) for device in devices)


def test_the_signers_own_certificate_is_known(ca: Issuer, now: datetime) -> None:
    signer = Certificate.objects.get(issuer_id=ca.id)
    assert signer.profile == "ocsp-signer"
    found = IssuerIndex.open(ca.id, revision=0).keep_up(now=now).find(int(signer.serial, 16))
    assert found == Standing(int(signer.not_after.timestamp()))


def test_a_serial_of_another_issuer_is_not_found(root: Issuer, ca: Issuer, now: datetime) -> None:
    index = IssuerIndex.open(ca.id, revision=0).keep_up(now=now)
    assert index.find(ca.serial) is None
    assert IssuerIndex.open(root.id, revision=0).keep_up(now=now).find(ca.serial) is not None
    assert key_of(ca.serial)[-1] == 20


def test_nobody_is_answered_from_old_knowledge_while_another_thread_reads(
    ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    responder, octets = Responder(), build_request(issuer=x509.load_der_x509_certificate(ca.certificate_der), serial=77)
    responder.answer(ca.slug, octets, now=now)
    later, begun = now + timedelta(seconds=5), Event()

    def learn_slowly(_: str, known: Knowledge, *, now: datetime, with_edition: bool) -> Knowledge:
        begun.set()
        time.sleep(0.3)
        return replace(known, read_at=now, revision=9)

    monkeypatch.setattr(answer_ocsp, "learn", learn_slowly)
    monkeypatch.setattr(answer_ocsp, "LONGEST_WAIT_SECONDS", 90)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(responder._look_at, ca.slug, now=later)
        assert begun.wait(90)
        second = pool.submit(responder._look_at, ca.slug, now=later)
        found = [each.result() for each in (first, second)]
    assert [each.revision for each in found if each] == [9, 9]


def test_a_database_that_hangs_has_nobody_wait_for_longer_than_it_may_take_in_all(
    ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    responder, octets = Responder(), build_request(issuer=x509.load_der_x509_certificate(ca.certificate_der), serial=77)
    responder.answer(ca.slug, octets, now=now)
    known, begun, goes_on = responder._known[ca.slug], Event(), Event()

    def hang(_: str, known: Knowledge, *, now: datetime, with_edition: bool) -> Knowledge:
        begun.set()
        assert goes_on.wait(90)
        return replace(known, read_at=now)

    monkeypatch.setattr(answer_ocsp, "learn", hang)
    monkeypatch.setattr(answer_ocsp, "LONGEST_WAIT_SECONDS", 30)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(responder._look_at, ca.slug, now=now + timedelta(seconds=5))
        assert begun.wait(90)
        asked_at = time.monotonic()
        assert responder._look_at(ca.slug, now=now + timedelta(seconds=35)) is known
        assert time.monotonic() - asked_at < 15
        goes_on.set()
        assert first.result() is not known
    assert not responder._begun_at
