"""The wake-ups and the clockwork, run twice, late, and beside a fault."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from kernel.core.journal import Entry
from kernel.models import JournalEntry
from kernel.services import Defer, Wake
from pki import queries, services, tasks
from pki.core.values import Issuer, ReasonCode
from pki.models import Certificate, Crl, OcspSigner
from pki.models import Issuer as IssuerRow
from pki.services.query_ocsp import NoOcspAnswer
from tests.cast import ADA
from tests.pki.conftest import IssueDevice


@pytest.fixture
def clock(now: datetime, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time that tasks read: its one element."""
    held = [now]
    monkeypatch.setattr(tasks, "utc_now", lambda: held[0])
    return held


def last_entry() -> Entry:
    row = JournalEntry.objects.order_by("-seq").first()
    assert row is not None
    return row.as_value()


def body_of(task: Any) -> Any:
    """The function that a wake-up task was made of."""
    run = task.run
    return dict(zip(run.__code__.co_freevars, run.__closure__, strict=True))["body"].cell_contents


def publish(entry: Entry | None = None) -> str:
    said: str = body_of(tasks.publish_crl)(Wake(entry=entry or last_entry(), target="crl:north-ca", attempt=1))
    return said


def confirm(entry: Entry) -> str:
    said: str = body_of(tasks.confirm_revocation)(Wake(entry=entry, target="ocsp", attempt=1))
    return said


def numbers(ca: Issuer) -> list[int]:
    full = Crl.objects.filter(issuer_id=ca.id, kind="full")
    return [*full.order_by("number").values_list("number", flat=True)]


def test_a_burst_of_revocations_is_gathered_into_two_crls(
    ca: Issuer, issue_device: IssueDevice, clock: list[datetime]
) -> None:
    devices = [issue_device(f"pump-{number}") for number in range(6)]
    clock[0] += timedelta(minutes=1)
    deferred: list[datetime] = []
    for device in devices:
        services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=clock[0])
        try:
            publish()
        except Defer as wish:
            deferred.append(wish.until)
        clock[0] += timedelta(milliseconds=50)
    assert numbers(ca) == [1, 2]
    assert len(deferred) == 5
    assert max(deferred) <= clock[0] + timedelta(seconds=2)
    clock[0] = max(deferred)
    assert {publish() for _ in deferred} == {"CRL 3 lists 6"}
    assert numbers(ca) == [1, 2, 3]


def test_a_wakeup_that_comes_twice_builds_once(ca: Issuer, issue_device: IssueDevice, clock: list[datetime]) -> None:
    clock[0] += timedelta(minutes=1)
    device = issue_device("x")
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=clock[0])
    entry = last_entry()
    assert [publish(entry), publish(entry)] == ["CRL 2 lists 1"] * 2


def test_ocsp_is_asked_whether_it_says_revoked(issue_device: IssueDevice, clock: list[datetime]) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=clock[0])
    assert confirm(last_entry()) == "OCSP says revoked for 1 certificate"
    services.release_certificate(certificate=device.id, actor=ADA, now=clock[0])
    assert confirm(last_entry()) == "OCSP says revoked for 0 certificates"


def test_ocsp_that_can_not_sign_confirms_nothing(issue_device: IssueDevice, clock: list[datetime]) -> None:
    device = issue_device("x")
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=clock[0])
    entry = last_entry()
    OcspSigner.objects.all().delete()
    with pytest.raises(NoOcspAnswer):
        confirm(entry)


def test_an_issuer_for_which_nobody_answers_keeps_no_revocation_pending(
    issue_device: IssueDevice, ca: Issuer, clock: list[datetime]
) -> None:
    device = issue_device("x")
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=clock[0])
    entry = last_entry()
    OcspSigner.objects.all().delete()
    IssuerRow.objects.filter(id=ca.id).update(kind="offline", key=None)
    assert confirm(entry) == "OCSP says revoked for 0 certificates; nobody answers for north-ca"


def test_the_clockwork_builds_a_crl_each_hour_and_no_more(ca: Issuer, root: Issuer, clock: list[datetime]) -> None:
    for minutes, expected in ((1, [1]), (59, [1]), (61, [1, 2]), (62, [1, 2]), (122, [1, 2, 3])):
        clock[0] = ca.not_before + timedelta(minutes=5 + minutes, seconds=1)
        tasks.refresh()
        assert numbers(ca) == expected == numbers(root), minutes


def test_the_clockwork_replaces_a_signer_with_a_third_of_its_life_left(ca: Issuer, clock: list[datetime]) -> None:
    begin = clock[0]
    ends = []
    for days in (0, 9, 9.5, 13.9, 19.5, 29):
        clock[0] = begin + timedelta(days=days)
        tasks.refresh()
        end = queries.ocsp_signer_ends_at(issuer=ca.id)
        assert end is not None
        assert end - clock[0] > timedelta(days=4)
        ends.append(end)
    assert len(set(ends)) == 4
    assert OcspSigner.objects.filter(issuer_id=ca.id).count() == 2  # those that have ended are gone with their keys


def test_a_revoked_signer_is_replaced_at_once_and_not_used(
    ca: Issuer, issue_device: IssueDevice, clock: list[datetime]
) -> None:
    device = issue_device("x")
    [signer] = queries.certificates_of(holder="ocsp:north-ca")
    services.revoke_certificate(certificate=signer.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=clock[0])
    with pytest.raises(NoOcspAnswer):
        services.query_ocsp(issuer="north-ca", serial=device.serial, now=clock[0])
    tasks.refresh()
    assert services.query_ocsp(issuer="north-ca", serial=device.serial, now=clock[0]).status == "good"


def test_one_issuer_s_fault_keeps_no_other_waiting(
    ca: Issuer, root: Issuer, clock: list[datetime], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = services.publish_crl

    def publish_crl(*, issuer: Any, now: datetime) -> Any:
        if issuer == root.id:
            raise RuntimeError("the root's key is away")
        return right(issuer=issuer, now=now)

    monkeypatch.setattr(services, "publish_crl", publish_crl)
    clock[0] += timedelta(hours=2)
    with caplog.at_level(logging.CRITICAL):
        tasks.refresh()
    assert (numbers(root), numbers(ca)) == ([1], [1, 2])


def test_issuers_that_ended_are_left_in_peace(ca: Issuer, clock: list[datetime]) -> None:
    clock[0] = ca.not_after + timedelta(days=1)
    tasks.refresh()
    assert numbers(ca) == [1]
    assert publish() == "the issuer has ended: nobody asks for its CRL"


def test_the_clockwork_gives_up_what_was_never_stored(
    ca: Issuer, issue_device: IssueDevice, clock: list[datetime]
) -> None:
    device = issue_device("x")
    Certificate.objects.filter(id=device.id).update(state="requested", der=None, fingerprint=None)
    clock[0] += timedelta(minutes=11)
    tasks.refresh()
    newest = queries.latest_crl(issuer=ca.id)
    assert newest is not None
    assert [entry.serial_number for entry in x509.load_der_x509_crl(newest.der)] == [device.serial]
