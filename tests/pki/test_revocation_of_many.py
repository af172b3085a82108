"""Revoking by filter: what was shown is revoked, all of it and no more, also if it is broken off on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import EntryId
from kernel.core.journal import Entry
from kernel.models import JournalEntry
from kernel.services import Defer, Wake
from pki import queries, services, tasks
from pki.core.revocation_order import RevocationFilter
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.models import Certificate, Crl
from pki.services.revoke_matching import Progress
from tests.cast import ADA, NORTH, SOUTH
from tests.pki.conftest import IssueDevice
from tests.pki.test_tasks import body_of

DEVICES = RevocationFilter(profile="device")


@pytest.fixture
def devices(issue_device: IssueDevice) -> list[IssuedCertificate]:
    return [issue_device(f"pump-{number}") for number in range(5)]


def order(now: datetime, wanted: RevocationFilter = DEVICES, **more: Any) -> EntryId:
    digest = queries.matching_certificates(domain=NORTH, wanted=wanted).digest
    given = {"reason": ReasonCode.CESSATION_OF_OPERATION, "actor": ADA, "now": now, "note": "hall closed", **more}
    return services.revoke_matching(domain=NORTH, wanted=wanted, digest=digest, **given).operation


def entry(operation: EntryId) -> Entry:
    return JournalEntry.objects.get(id=operation).as_value()


def carry_out(operation: EntryId, now: datetime, *, chunks: int = 99) -> Progress:
    left = [chunks]

    def may_go_on() -> bool:
        left[0] -= 1
        return left[0] > 0

    return services.continue_revocation(order=entry(operation), now=now, may_go_on=may_go_on)


def states() -> list[str]:
    return [*Certificate.objects.filter(profile="device").order_by("id").values_list("state", flat=True)]


def test_a_dry_run_counts_and_shows_and_changes_nothing(ca: Issuer, devices: list[IssuedCertificate]) -> None:
    before = JournalEntry.objects.count()
    found = queries.matching_certificates(domain=NORTH, wanted=DEVICES)
    assert found.count == 5
    assert [each.id for each in found.sample] == [each.id for each in reversed(devices)]
    assert queries.matching_certificates(domain=NORTH, wanted=DEVICES).digest == found.digest
    assert (states(), JournalEntry.objects.count()) == (["issued"] * 5, before)


def test_all_that_fits_is_revoked_each_with_an_entry_of_its_own(
    ca: Issuer, devices: list[IssuedCertificate], now: datetime
) -> None:
    operation = order(now, invalidity_date=now - timedelta(days=1))
    progress = carry_out(operation, now)
    assert (progress.revoked, progress.ordered, progress.is_done) == (5, 5, True)
    found = [queries.get_certificate(id=device.id) for device in devices]
    assert {(each.state, each.reason, each.invalidity_date) for each in found} == {
        ("revoked", ReasonCode.CESSATION_OF_OPERATION, (now - timedelta(days=1)).replace(microsecond=0))
    }
    assert {each.changed_at for each in found} == {now}
    rows = JournalEntry.objects.filter(action="pki.certificate.revoked")
    assert {(row.note, row.actor_id, row.after["bulk"]) for row in rows} == {("hall closed", ADA.id, str(operation))}
    assert rows.count() == 5


def test_one_crl_is_built_for_all_of_them(ca: Issuer, devices: list[IssuedCertificate], now: datetime) -> None:
    carry_out(order(now), now)
    newest = queries.latest_crl(issuer=ca.id)
    assert newest is not None
    assert (newest.number, newest.entries) == (2, 5)


def test_cas_and_ocsp_signers_are_left_alone_unless_they_are_named(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    for slug, expected in (("north-ca", [device.id]), ("north-root", [])):
        found = queries.matching_certificates(domain=NORTH, wanted=RevocationFilter(issuer=slug))
        assert [each.id for each in found.sample] == expected
    named = RevocationFilter(holder="issuer:north-ca")
    assert queries.matching_certificates(domain=NORTH, wanted=named).count == 1
    assert queries.matching_certificates(domain=NORTH, wanted=named, with_cas=False).count == 0
    assert carry_out(order(now, wanted=named), now).revoked == 1


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        (lambda _: {"subject": "CN=pump-"}, 5),
        (lambda _: {"subject": "CN=pump-3"}, 1),
        (lambda made: {"serial": made[0].serial_hex[:20].upper()}, 1),
        (lambda made: {"holder": made[1].holder}, 1),
        (lambda made: {"issuer": "north-ca", "ends_before": made[0].not_after}, 0),
        (lambda made: {"issuer": "north-ca", "ends_from": made[0].not_after}, 5),
        (lambda made: {"issuer": "north-ca", "issued_before": made[0].requested_at}, 0),
        (lambda _: {"profile": "broker-server"}, 0),
        (lambda _: {"issuer": "north-root"}, 0),
    ],
)
def test_every_part_of_a_filter_narrows(
    narrow: Callable[[list[IssuedCertificate]], dict[str, Any]], expected: int, devices: list[IssuedCertificate]
) -> None:
    wanted = RevocationFilter(**narrow(devices))
    assert queries.matching_certificates(domain=NORTH, wanted=wanted).count == expected
    assert queries.matching_certificates(domain=SOUTH, wanted=wanted).count == 0
    assert RevocationFilter.from_document(wanted.as_document()) == wanted


def test_a_filter_that_narrows_nothing_is_refused() -> None:
    with pytest.raises(Invalid, match="Say which"):
        RevocationFilter()


def test_what_was_not_shown_is_not_revoked(
    devices: list[IssuedCertificate], issue_device: IssueDevice, now: datetime
) -> None:
    shown = queries.matching_certificates(domain=NORTH, wanted=DEVICES)
    late = issue_device("late")
    operation = services.revoke_matching(
        domain=NORTH, wanted=DEVICES, digest=shown.digest, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now
    ).operation
    later = issue_device("later")
    carry_out(operation, now)
    assert {queries.get_certificate(id=each.id).state for each in devices} == {"revoked"}
    assert {queries.get_certificate(id=each.id).state for each in (late, later)} == {"issued"}


def test_what_was_revoked_since_it_was_shown_is_looked_at_again(
    devices: list[IssuedCertificate], issue_device: IssueDevice, now: datetime
) -> None:
    shown = queries.matching_certificates(domain=NORTH, wanted=DEVICES)
    services.revoke_certificate(certificate=devices[0].id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    issue_device("late")  # as many fit as before, and others
    with pytest.raises(Conflict) as refused:
        services.revoke_matching(
            domain=NORTH, wanted=DEVICES, digest=shown.digest, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now
        )
    assert refused.value.code == "revocation-set-changed"


def test_another_filter_s_digest_is_refused(devices: list[IssuedCertificate], now: datetime) -> None:
    digest = queries.matching_certificates(domain=NORTH, wanted=DEVICES).digest
    wanted = RevocationFilter(issuer="north-ca")  # the same certificates
    with pytest.raises(Conflict):
        services.revoke_matching(
            domain=NORTH, wanted=wanted, digest=digest, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now
        )


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["pki.services.revoke_matching"], "CHUNK", 2)


@pytest.mark.usefixtures("small_chunks")
def test_it_goes_on_where_it_was_broken_off(devices: list[IssuedCertificate], now: datetime) -> None:
    operation = order(now)
    first = carry_out(operation, now, chunks=1)
    assert (first.revoked, first.is_done) == (2, False)
    assert states() == ["revoked", "revoked", "issued", "issued", "issued"]
    second = carry_out(operation, now)
    assert (second.revoked, second.is_done) == (5, True)
    assert JournalEntry.objects.filter(action="pki.certificate.revoked").count() == 5


@pytest.mark.usefixtures("small_chunks")
def test_a_fault_half_way_loses_nothing_and_doubles_nothing(
    devices: list[IssuedCertificate], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["pki.services.revoke_matching"]
    right, calls = module.revoke_rows, [0]

    def fail_after_the_second(*args: Any, **more: Any) -> None:
        calls[0] += 1
        right(*args, **more)
        if calls[0] == 2:
            raise DatabaseError("the connection is gone")

    monkeypatch.setattr(module, "revoke_rows", fail_after_the_second)
    operation = order(now)
    with pytest.raises(DatabaseError):
        carry_out(operation, now)
    assert states() == ["revoked", "revoked", "issued", "issued", "issued"]  # of the second chunk, nothing
    assert carry_out(operation, now).is_done
    assert JournalEntry.objects.filter(action="pki.certificate.revoked").count() == 5


def test_carried_out_twice_it_changes_nothing(ca: Issuer, devices: list[IssuedCertificate], now: datetime) -> None:
    operation = order(now)
    carry_out(operation, now)
    entries, crls = JournalEntry.objects.count(), Crl.objects.count()
    again = carry_out(operation, now)
    assert (again.revoked, again.is_done) == (5, True)
    assert (JournalEntry.objects.count(), Crl.objects.count()) == (entries, crls)


def test_what_somebody_else_revoked_meanwhile_keeps_its_reason(devices: list[IssuedCertificate], now: datetime) -> None:
    operation = order(now)
    services.revoke_certificate(certificate=devices[0].id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    assert carry_out(operation, now).is_done
    assert queries.get_certificate(id=devices[0].id).reason is ReasonCode.KEY_COMPROMISE


@pytest.mark.usefixtures("small_chunks")
def test_the_wake_up_says_how_far_it_is(
    devices: list[IssuedCertificate], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake = Wake(entry=entry(order(now)), target="certificates", attempt=1)
    monkeypatch.setattr(tasks, "SECONDS_A_TURN", 0.0)
    told = []
    for _ in range(2):
        with pytest.raises(Defer) as wish:
            body_of(tasks.revoke_matching)(wake)
        told.append(wish.value.detail)
    assert told == ["2 of 5 certificates revoked", "4 of 5 certificates revoked"]
    monkeypatch.setattr(tasks, "SECONDS_A_TURN", 60.0)
    assert body_of(tasks.revoke_matching)(wake) == "5 of 5 certificates revoked"


def test_nothing_that_fits_is_an_operation_that_ends_at_once(ca: Issuer, now: datetime) -> None:
    progress = carry_out(order(now, RevocationFilter(subject="CN=nobody")), now)
    assert (progress.revoked, progress.is_done) == (0, True)
