"""Reasons, dates and repetition: what a revocation, a hold and a release leave behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from kernel.core.errors import Invalid
from kernel.models import JournalEntry
from pki import queries, services
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.models import Certificate
from tests.cast import ADA, BO
from tests.pki.conftest import IssueDevice

FOR_GOOD = [each for each in ReasonCode if each not in {ReasonCode.CERTIFICATE_HOLD, ReasonCode.REMOVE_FROM_CRL}]
NUMBERS = {
    "unspecified": 0, "keyCompromise": 1, "cACompromise": 2, "affiliationChanged": 3, "superseded": 4,
    "cessationOfOperation": 5, "privilegeWithdrawn": 9, "aACompromise": 10,
}  # fmt: skip
"""RFC 5280 5.3.1; 7 is unused, 6 is for holds, 8 for deltas."""


def entry_of(ca: Issuer, device: IssuedCertificate, now: datetime) -> x509.RevokedCertificate:
    crl = x509.load_der_x509_crl(services.publish_crl(issuer=ca.id, now=now).der)
    found = crl.get_revoked_certificate_by_serial_number(device.serial)
    assert found is not None
    return found


@pytest.mark.parametrize("reason", FOR_GOOD)
def test_every_reason_of_the_rfc_is_in_the_crl(
    reason: ReasonCode, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    services.revoke_certificate(certificate=device.id, reason=reason, actor=ADA, now=now)
    entry = entry_of(ca, device, now)
    written = [each.value for each in entry.extensions]
    if reason is ReasonCode.UNSPECIFIED:
        assert written == []
    else:
        [code] = written
        assert isinstance(code, x509.CRLReason)
        assert code.public_bytes()[-1] == NUMBERS[reason.value]


def test_reasons_are_those_of_the_rfc() -> None:
    assert {each.value for each in FOR_GOOD} == set(NUMBERS)


@pytest.mark.parametrize("reason", [ReasonCode.CERTIFICATE_HOLD, ReasonCode.REMOVE_FROM_CRL])
def test_a_hold_or_a_removal_is_no_reason_for_good(
    reason: ReasonCode, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    with pytest.raises(Invalid, match="hold or release"):
        services.revoke_certificate(certificate=device.id, reason=reason, actor=ADA, now=now)
    assert queries.get_certificate(id=device.id).state == "issued"


def test_the_invalidity_date_is_in_the_crl(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    lost = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    services.revoke_certificate(
        certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now, invalidity_date=lost
    )
    since = entry_of(ca, device, now).extensions.get_extension_for_class(x509.InvalidityDate)
    assert not since.critical
    assert since.value.invalidity_date_utc == lost.replace(microsecond=0)
    assert queries.get_certificate(id=device.id).invalidity_date == lost.replace(microsecond=0)


def test_an_invalidity_date_of_the_future_is_refused(issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    with pytest.raises(Invalid) as refused:
        services.revoke_certificate(
            certificate=device.id,
            reason=ReasonCode.KEY_COMPROMISE,
            actor=ADA,
            now=now,
            invalidity_date=now + timedelta(seconds=1),
        )
    assert refused.value.code == "invalidity-date"
    assert queries.get_certificate(id=device.id).state == "issued"


def test_a_revocation_asked_for_again_names_the_same_operation_and_records_nothing(
    issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    first = services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    _record_about(device, now)
    before = JournalEntry.objects.count()
    again = services.revoke_certificate(
        certificate=device.id,
        reason=ReasonCode.KEY_COMPROMISE,
        actor=BO,
        now=now + timedelta(days=1),
        invalidity_date=now,
    )
    assert again == first
    assert services.hold_certificate(certificate=device.id, actor=BO, now=now) == first
    assert JournalEntry.objects.count() == before
    assert queries.get_certificate(id=device.id).invalidity_date is None


def _record_about(device: IssuedCertificate, now: datetime) -> None:
    """A later entry about the same certificate, which is not what revoked it."""
    from django.db import transaction

    from kernel.core.journal import Subject
    from kernel.services import record

    with transaction.atomic():
        subject = Subject(kind="pki.certificate", id=str(device.id), label="x")
        record(action="pki.certificate.shown", subject=subject, actor=BO, now=now)


def test_who_was_on_hold_is_revoked_since_the_hold(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    later = now + timedelta(days=3)
    revoked = services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=later)
    assert revoked.revoked_at == now.replace(microsecond=0)
    assert entry_of(ca, device, later).revocation_date_utc == now.replace(microsecond=0)


def test_who_was_released_is_revoked_since_then(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    services.release_certificate(certificate=device.id, actor=ADA, now=now)
    later = now + timedelta(days=3)
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=later)
    assert entry_of(ca, device, later).revocation_date_utc == later.replace(microsecond=0)


def test_each_change_keeps_its_own_time(issue_device: IssueDevice, now: datetime) -> None:
    device, hour = issue_device("x"), timedelta(hours=1)
    assert queries.get_certificate(id=device.id).changed_at is None
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    assert queries.get_certificate(id=device.id).changed_at == now
    services.release_certificate(certificate=device.id, actor=ADA, now=now + hour)
    assert queries.get_certificate(id=device.id).changed_at == now + hour
    services.hold_certificate(certificate=device.id, actor=ADA, now=now + 2 * hour)
    for later in (now + 3 * hour, now + 4 * hour):  # the second changes nothing
        services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=later)
    assert queries.get_certificate(id=device.id).changed_at == now + 3 * hour


def test_what_another_ca_revoked_names_an_operation_too(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    Certificate.objects.filter(id=device.id).update(operation=None)
    again = services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    assert JournalEntry.objects.get(id=again.operation).subject_id == str(ca.id)
