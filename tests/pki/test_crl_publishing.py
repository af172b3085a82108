"""Full, delta and sharded CRLs of one issuer over time: which are built, what they list, and how they are served."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from django.db import IntegrityError

from pki import queries, services
from pki.api.shelf import Shelf
from pki.core.values import CrlKind, IssuedCertificate, Issuer, PublishedCrl, ReasonCode
from pki.models import Certificate, Crl
from pki.models import Issuer as IssuerRow
from tests.cast import ADA
from tests.pki.conftest import IssueDevice, pkilint

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
Revoke = Callable[..., None]


@pytest.fixture
def sharded(ca: Issuer) -> Issuer:
    """The issuing CA, now with four shards."""
    IssuerRow.objects.filter(id=ca.id).update(crl_shards=4)
    return queries.find_issuer(slug=ca.slug)


def put_into(device: IssuedCertificate, shard: int) -> IssuedCertificate:
    Certificate.objects.filter(id=device.id).update(shard=shard)
    return device


def revoke(device: IssuedCertificate, now: datetime, reason: ReasonCode = ReasonCode.SUPERSEDED) -> None:
    services.revoke_certificate(certificate=device.id, reason=reason, actor=ADA, now=now)


def newest(ca: Issuer, kind: CrlKind = CrlKind.FULL, shard: int | None = None) -> PublishedCrl:
    found = queries.latest_crl(issuer=ca.id, kind=kind, shard=shard)
    assert found is not None
    return found


def reasons(crl: PublishedCrl) -> dict[int, str]:
    """The entries by serial number, as the library reads them."""
    found = {}
    for entry in x509.load_der_x509_crl(crl.der):
        try:
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except x509.ExtensionNotFound:
            reason = "unspecified"
        found[entry.serial_number] = reason
    return found


def base_of(crl: PublishedCrl) -> int:
    parsed = x509.load_der_x509_crl(crl.der)
    return parsed.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number


def deltas_of(crl: PublishedCrl) -> list[str]:
    """Where it says that deltas are."""
    try:
        points = x509.load_der_x509_crl(crl.der).extensions.get_extension_for_class(x509.FreshestCRL).value
    except x509.ExtensionNotFound:
        return []
    return [name.value for point in points for name in point.full_name or []]


def test_the_first_crl_has_no_delta_and_the_second_has_one(
    ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    assert queries.latest_crl(issuer=ca.id, kind=CrlKind.DELTA) is None
    assert deltas_of(newest(ca)) == [], "a strict peer refuses everybody where a delta is promised and is not there"
    device = issue_device("x")
    revoke(device, now)
    services.publish_crl(issuer=ca.id, now=now)
    full, delta = newest(ca), newest(ca, CrlKind.DELTA)
    assert (full.number, delta.number, delta.base_number, base_of(delta)) == (2, 2, 1, 1)
    assert deltas_of(full) == ["http://127.0.0.1:8000/pki/north-ca/delta.crl"]
    assert reasons(full) == reasons(delta) == {device.serial: "superseded"}


def test_a_base_is_a_day_old_where_there_is_one(ca: Issuer, now: datetime) -> None:
    bases = []
    for hours in (0, 10, 23, 25, 30, 49, 60):  # numbers 2 to 8; the first CRL was made at 0, too
        services.publish_crl(issuer=ca.id, now=now + hours * HOUR, force=True)
        bases.append(newest(ca, CrlKind.DELTA).base_number)
    assert bases == [1, 1, 1, 2, 2, 5, 6]
    assert [*Crl.objects.filter(issuer_id=ca.id, kind="full").order_by("number").values_list("number", flat=True)] == [
        6, 7, 8,
    ]  # fmt: skip


def test_a_delta_lists_what_changed_since_its_base_and_no_more(
    ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    before, after = issue_device("before"), issue_device("after")
    revoke(before, now)
    services.publish_crl(issuer=ca.id, now=now)
    revoke(after, now + 2 * DAY)
    services.publish_crl(issuer=ca.id, now=now + 2 * DAY)
    assert reasons(newest(ca)) == {before.serial: "superseded", after.serial: "superseded"}
    assert reasons(newest(ca, CrlKind.DELTA)) == {after.serial: "superseded"}


def test_a_release_is_told_to_who_knows_of_the_hold(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    held, fleeting = issue_device("held"), issue_device("fleeting")
    services.hold_certificate(certificate=held.id, actor=ADA, now=now)
    services.publish_crl(issuer=ca.id, now=now)
    later = now + 2 * DAY
    services.hold_certificate(certificate=fleeting.id, actor=ADA, now=later)
    for device in (held, fleeting):
        services.release_certificate(certificate=device.id, actor=ADA, now=later)
    services.publish_crl(issuer=ca.id, now=later)
    assert reasons(newest(ca)) == {}
    # 5280 5.2.4: also what was put on hold after the base, since a CRL in between may have listed it
    assert reasons(newest(ca, CrlKind.DELTA)) == {held.serial: "removeFromCRL", fleeting.serial: "removeFromCRL"}
    services.publish_crl(issuer=ca.id, now=later + 2 * DAY)
    assert reasons(newest(ca, CrlKind.DELTA)) == {}


def test_what_is_held_again_after_a_release_is_on_hold(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    services.release_certificate(certificate=device.id, actor=ADA, now=now)
    services.hold_certificate(certificate=device.id, actor=ADA, now=now + MINUTE)
    services.publish_crl(issuer=ca.id, now=now + MINUTE)
    assert reasons(newest(ca)) == reasons(newest(ca, CrlKind.DELTA)) == {device.serial: "certificateHold"}


def test_shards_list_their_own_and_the_full_crl_everything(
    sharded: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    devices = [put_into(issue_device(f"d{shard}"), shard) for shard in (0, 1, 3)]
    unsharded = issue_device("old")
    Certificate.objects.filter(id=unsharded.id).update(shard=None)
    for device in (*devices, unsharded):
        revoke(device, now)
    services.publish_crl(issuer=sharded.id, now=now)
    found = [set(reasons(newest(sharded, CrlKind.SHARD, shard))) for shard in range(4)]
    assert found == [{devices[0].serial}, {devices[1].serial}, set(), {devices[2].serial}]
    assert set(reasons(newest(sharded))) == {device.serial for device in (*devices, unsharded)}
    kinds = [(each.kind, each.shard, each.number) for each in queries.published_crls(issuer=sharded.id)]
    shards = [("shard", shard, 2) for shard in range(4)]
    assert kinds == [("full", None, 2), ("delta", None, 2), *shards]


def test_only_shards_that_changed_or_are_due_are_built_again(
    sharded: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = put_into(issue_device("x"), 2)
    services.publish_crl(issuer=sharded.id, now=now)

    def numbers() -> list[int]:
        return [newest(sharded, CrlKind.SHARD, shard).number for shard in range(4)]

    assert numbers() == [2, 2, 2, 2]
    services.hold_certificate(certificate=device.id, actor=ADA, now=now + MINUTE)
    services.publish_crl(issuer=sharded.id, now=now + MINUTE)
    assert numbers() == [2, 2, 3, 2]
    services.release_certificate(certificate=device.id, actor=ADA, now=now + 2 * MINUTE)
    services.publish_crl(issuer=sharded.id, now=now + 2 * MINUTE)
    assert numbers() == [2, 2, 4, 2]
    services.publish_crl(issuer=sharded.id, now=now + 61 * MINUTE)
    assert numbers() == [2, 2, 4, 2], "the full one is of minute 2, and nothing changed"
    services.publish_crl(issuer=sharded.id, now=now + 63 * MINUTE)
    assert numbers() == [5, 5, 5, 5]
    assert Crl.objects.filter(issuer_id=sharded.id, kind="shard").count() == 4


def test_an_issuer_without_shards_has_none(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    IssuerRow.objects.filter(id=ca.id).update(crl_shards=1)
    revoke(issue_device("x"), now)
    services.publish_crl(issuer=ca.id, now=now)
    assert [each.kind for each in queries.published_crls(issuer=ca.id)] == ["full", "delta"]


def test_shards_outlive_a_smaller_number_of_them(sharded: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = put_into(issue_device("x"), 3)
    services.publish_crl(issuer=sharded.id, now=now)
    IssuerRow.objects.filter(id=sharded.id).update(crl_shards=2)
    revoke(device, now + DAY)
    services.publish_crl(issuer=sharded.id, now=now + DAY)
    assert set(reasons(newest(sharded, CrlKind.SHARD, 3))) == {device.serial}


def test_an_ended_certificate_is_in_one_more_crl_of_its_shard(
    sharded: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = put_into(issue_device("x"), 1)
    revoke(device, now)
    services.publish_crl(issuer=sharded.id, now=now)
    listed = []
    for minutes in (-30, 30, 95, 160):
        services.publish_crl(issuer=sharded.id, now=device.not_after + minutes * MINUTE)
        listed.append([len(reasons(crl)) for crl in (newest(sharded), newest(sharded, CrlKind.SHARD, 1))])
    assert listed == [[1, 1], [1, 1], [0, 0], [0, 0]]


def test_an_ended_release_leaves_the_deltas(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    end = device.not_after
    services.hold_certificate(certificate=device.id, actor=ADA, now=end - HOUR)
    services.release_certificate(certificate=device.id, actor=ADA, now=end - HOUR)
    for hours, expected in ((-1, 1), (2, 1), (4, 0)):
        services.publish_crl(issuer=ca.id, now=end + hours * HOUR)
        assert newest(ca, CrlKind.DELTA).entries == expected, hours


def test_this_update_lies_back_and_rises_with_the_number(ca_of_now: Issuer, now: datetime) -> None:
    first = newest(ca_of_now)
    assert first.this_update == (now - 5 * MINUTE).replace(microsecond=0)
    made = [services.publish_crl(issuer=ca_of_now.id, now=now, force=True).this_update for _ in range(3)]
    assert made == [first.this_update + timedelta(seconds=second) for second in (1, 2, 3)]


def test_a_clock_that_is_set_back_an_hour_does_no_harm(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    wrong = now + HOUR
    ahead = services.publish_crl(issuer=ca.id, now=wrong, force=True)
    revoke(device, now)
    after = services.publish_crl(issuer=ca.id, now=now)
    assert after.number == ahead.number + 1
    assert set(reasons(after)) == set(reasons(newest(ca, CrlKind.DELTA))) == {device.serial}
    assert after.this_update <= now < after.next_update


def test_a_crl_of_the_future_is_replaced_without_a_revocation(ca: Issuer, now: datetime) -> None:
    ahead = services.publish_crl(issuer=ca.id, now=now + HOUR, force=True)
    assert ahead.this_update > now
    assert services.publish_crl(issuer=ca.id, now=now).number == ahead.number + 1


def test_only_the_newest_octets_are_kept(ca: Issuer, now: datetime) -> None:
    for minutes in range(1, 5):
        services.publish_crl(issuer=ca.id, now=now + minutes * MINUTE, force=True)
    kept = Crl.objects.filter(issuer_id=ca.id).exclude(der=b"")
    assert sorted(kept.values_list("kind", "number")) == [("delta", 5), ("full", 5)]


def test_a_crl_that_is_wrong_is_not_stored(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    from pki.core.crl_lint import CrlLintFailure

    device, other = issue_device("x"), issue_device("y")
    for each in (device, other):
        revoke(each, now)
    entry = Certificate.objects.get(id=device.id).crl_entry
    Certificate.objects.filter(id=other.id).update(crl_entry=entry)
    with pytest.raises(CrlLintFailure, match="stand in it already"):
        services.publish_crl(issuer=ca.id, now=now)
    assert newest(ca).number == 1


def test_another_fault_of_the_database_is_not_taken_for_a_race(
    ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IntegrityError("something else")

    monkeypatch.setattr(sys.modules["pki.services.publish_crl"], "_record", fail)
    with pytest.raises(IntegrityError, match="something else"):
        services.publish_crl(issuer=ca.id, now=now, force=True)


def test_a_certificate_that_is_known_by_its_serial_alone_is_listed(
    ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    device = issue_device("x")
    revoke(device, now)
    Certificate.objects.filter(id=device.id).update(
        profile="imported", der=None, fingerprint=None, changed_revision=None
    )
    assert set(reasons(services.publish_crl(issuer=ca.id, now=now, force=True))) == {device.serial}
    assert reasons(newest(ca, CrlKind.DELTA)) == {}


@pytest.mark.parametrize("revoked", [False, True])
def test_pkilint_finds_no_fault_in_any_kind(
    revoked: bool, sharded: Issuer, issue_device: IssueDevice, now: datetime, tmp_path: Path
) -> None:
    if revoked:
        for number, reason in enumerate((ReasonCode.UNSPECIFIED, ReasonCode.KEY_COMPROMISE)):
            device = put_into(issue_device(f"d{number}"), number)
            services.revoke_certificate(
                certificate=device.id, reason=reason, actor=ADA, now=now, invalidity_date=now - DAY
            )
        held = put_into(issue_device("held"), 2)
        services.hold_certificate(certificate=held.id, actor=ADA, now=now)
        services.publish_crl(issuer=sharded.id, now=now)
        services.release_certificate(certificate=held.id, actor=ADA, now=now)
    services.publish_crl(issuer=sharded.id, now=now, force=True)
    for each in queries.published_crls(issuer=sharded.id):
        (tmp_path / "crl.der").write_bytes(newest(sharded, each.kind, each.shard).der)
        assert pkilint("lint_crl", tmp_path / "crl.der", "-t", "CRL", "-p", "PKIX") == [], each


def served(slug: str, leaf: str, now: datetime) -> bytes:
    body = Shelf().find(slug, leaf, now=now).body
    return body.read(0, len(body))


def test_every_kind_is_served_as_der_and_as_pem(sharded: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    revoke(put_into(issue_device("x"), 1), now)
    services.publish_crl(issuer=sharded.id, now=now)
    for leaf, kind, shard in (
        ("crl", CrlKind.FULL, None),
        ("delta.crl", CrlKind.DELTA, None),
        ("crl/1", CrlKind.SHARD, 1),
    ):
        der = served("north-ca", leaf, now)
        assert der == newest(sharded, kind, shard).der
        assert x509.load_pem_x509_crl(served("north-ca", f"{leaf}.pem", now)) == x509.load_der_x509_crl(der)


def test_the_bundle_holds_the_crls_of_all_levels(root: Issuer, ca: Issuer, now: datetime) -> None:
    bundle = served("north-ca", "crls.pem", now).decode()
    blocks = [block + "-----END X509 CRL-----" for block in bundle.split("-----END X509 CRL-----")[:-1]]
    found = [x509.load_pem_x509_crl(block.encode()) for block in blocks]
    assert found == [x509.load_der_x509_crl(newest(each).der) for each in (ca, root)]
    assert served("north-root", "crls.pem", now) == served("north-root", "crl.pem", now)
