"""What is found in CRLs and OCSP signers, by the moment; every time is worked out from 1 March 2027, 12:00 UTC."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kernel.core.findings import Finding
from pki.core.freshness import IssuerFreshness, SignerFreshness
from pki.core.freshness_findings import find_in_freshness
from pki.core.values import CrlKind, IssuerKind, IssuerState
from tests.cast import NORTH, NOW
from tests.pki.core.watched import crl, watched

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def codes(issuer: IssuerFreshness, at: datetime = NOW) -> list[str]:
    return [finding.code for finding in find_in_freshness(issuer, now=at)]


def only(issuer: IssuerFreshness, at: datetime = NOW) -> Finding:
    [finding] = find_in_freshness(issuer, now=at)
    return finding


def test_fresh_issuer_has_nothing() -> None:
    assert codes(watched()) == []


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, []), (151, []), (152, ["crl-ageing"]), (167, ["crl-ageing"]), (168, ["crl-overdue"]), (900, ["crl-overdue"])],
)
def test_crl_of_seven_days_ages_in_its_last_tenth(hours: int, expected: list[str]) -> None:
    # 7 days are 168 hours; nine tenths are 151.2 hours.
    issuer = watched(crls=(crl(this_update=NOW - hours * HOUR, validity=7 * DAY),))
    assert codes(issuer) == expected


def test_ageing_is_since_the_last_tenth_began_and_overdue_since_the_end() -> None:
    issuer = watched(crls=(crl(this_update=NOW - 160 * HOUR, validity=7 * DAY),))
    assert only(issuer).since == NOW - 160 * HOUR + 151.2 * HOUR
    assert only(issuer, NOW + DAY).since == NOW + 8 * HOUR


def test_deltas_and_shards_are_watched_like_the_full_one() -> None:
    old = NOW - 8 * DAY
    issuer = watched(
        crls=(crl(), crl(kind=CrlKind.DELTA, this_update=old), crl(kind=CrlKind.SHARD, shard=7, this_update=old))
    )
    found = list(find_in_freshness(issuer, now=NOW))
    assert [finding.code for finding in found] == ["crl-overdue", "crl-overdue"]
    assert "delta CRL" in found[0].detail
    assert "CRL of shard 7" in found[1].detail
    assert len({finding.id for finding in found}) == 2


def test_issuer_without_full_crl() -> None:
    assert codes(watched(crls=())) == ["crl-missing"]
    assert codes(watched(crls=(crl(kind=CrlKind.DELTA),))) == ["crl-missing"]


def test_shard_without_crl_is_named() -> None:
    shards = [crl(kind=CrlKind.SHARD, shard=shard) for shard in range(4)]
    assert codes(watched(crl_shards=4, crls=(crl(), *shards))) == []
    finding = only(watched(crl_shards=4, crls=(crl(), shards[0], shards[2])))
    assert finding.code == "crl-missing"
    assert "no CRL of shard 1, 3:" in finding.detail
    assert "0, 1, 2, 3, 4, 5, 6, 7 and 2 more:" in only(watched(crl_shards=10)).detail
    assert codes(watched(crl_shards=1)) == []


def test_crl_from_the_future_says_that_the_clock_was_put_back() -> None:
    issuer = watched(crls=(crl(this_update=NOW + HOUR),))
    assert codes(issuer) == ["crl-not-begun"]
    assert codes(watched(crls=(crl(this_update=NOW + timedelta(seconds=30)),))) == []


def test_offline_crl_is_due_a_third_before_its_end_and_says_who_has_to_sign() -> None:
    half_a_year = crl(this_update=NOW - 121 * DAY, validity=180 * DAY)
    issuer = watched(kind=IssuerKind.OFFLINE, crls=(half_a_year,))
    assert codes(issuer, NOW - 2 * DAY) == []
    finding = only(issuer)
    assert finding.code == "offline-crl-due"
    assert "signing request" in finding.remedy
    assert finding.since == NOW - 121 * DAY + 120 * DAY


def test_revocation_that_is_not_published_after_two_minutes() -> None:
    assert codes(watched(unpublished_since=NOW - 119 * timedelta(seconds=1))) == []
    assert codes(watched(unpublished_since=NOW - 121 * timedelta(seconds=1))) == ["crl-lacks-revocations"]


def test_signer_is_missed() -> None:
    assert codes(watched(signer=None)) == ["ocsp-signer-missing"]


@pytest.mark.parametrize(("hours", "expected"), [(223, []), (225, []), (226, ["ocsp-signer-ageing"])])
def test_signer_of_fourteen_days_ages_an_hour_past_two_thirds(hours: int, expected: list[str]) -> None:
    # 14 days are 336 hours; two thirds are 224; the hour of patience ends at 225.
    begun = NOW - hours * HOUR
    issuer = watched(signer=SignerFreshness(not_before=begun, not_after=begun + 14 * DAY))
    assert codes(issuer) == expected


def test_offline_root_without_leaves_needs_no_signer() -> None:
    root = watched(kind=IssuerKind.OFFLINE, signer=None)
    assert codes(root) == []
    assert codes(replace(root, last_leaf_ends_at=NOW + DAY)) == ["ocsp-signer-missing"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": IssuerKind.TRUSTED},
        {"state": IssuerState.RETIRED},
        {"is_revoked": True},
        {"not_after": NOW},
    ],
)
def test_nobody_asks_for_the_crl_of_one_out_of_use(change: dict[str, Any]) -> None:
    assert codes(watched(crls=(), signer=None, **change)) == []


def test_superseded_issuer_still_publishes() -> None:
    assert codes(watched(state=IssuerState.SUPERSEDED, crls=())) == ["crl-missing"]


def test_id_stays_while_the_same_is_the_matter() -> None:
    issuer = watched(crls=())
    assert only(issuer).id == only(issuer, NOW + DAY).id
    assert only(issuer).id != only(watched(slug="other", crls=())).id
    assert only(issuer).domain == NORTH
