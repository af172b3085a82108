"""What is found in the lives of issuers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kernel.core.findings import Severity
from pki.core.freshness import IssuerFreshness, OpenRequest, RequestKind
from pki.core.issuer_findings import find_in_issuer, find_in_request
from pki.core.values import IssuerKind, IssuerState
from tests.cast import NORTH, NOW
from tests.pki.core.watched import watched

DAY = timedelta(days=1)


def codes(issuer: IssuerFreshness) -> list[str]:
    return [finding.code for finding in find_in_issuer(issuer, now=NOW)]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (366, []),
        (365, []),
        (364, ["issuer-shortens-leaves"]),
        (91, ["issuer-shortens-leaves"]),
        (90, ["issuer-ends-in-90-days"]),
        (31, ["issuer-ends-in-90-days"]),
        (30, ["issuer-ends-in-30-days"]),
        (1, ["issuer-ends-in-30-days"]),
        (0, ["issuer-ended"]),
        (-5, ["issuer-ended"]),
    ],
)
def test_end_comes_nearer(days: int, expected: list[str]) -> None:
    assert codes(watched(not_after=NOW + days * DAY)) == expected


def test_leaves_that_are_shortened_ask_for_a_rollover_from_the_day_they_are() -> None:
    [finding] = find_in_issuer(watched(not_after=NOW + 300 * DAY), now=NOW)
    assert finding.since == NOW - 65 * DAY
    assert finding.remedy.startswith("Roll it over")
    assert "365 days" in finding.detail


def test_superseded_issuer_may_be_retired_once_its_last_leaf_has_ended() -> None:
    old = watched(state=IssuerState.SUPERSEDED, successor="north-ca-2", not_after=NOW + DAY)
    [finding] = find_in_issuer(old, now=NOW)
    assert (finding.code, finding.severity) == ("issuer-can-be-retired", Severity.INFO)
    assert "north-ca-2" in finding.detail
    with_leaf = watched(state=IssuerState.SUPERSEDED, last_leaf_ends_at=NOW + DAY, not_after=NOW + DAY)
    assert codes(with_leaf) == []
    assert codes(watched(state=IssuerState.SUPERSEDED, has_held_leaves=True)) == []
    assert codes(watched(state=IssuerState.SUPERSEDED, last_leaf_ends_at=NOW)) == ["issuer-can-be-retired"]


def test_revoked_issuer_is_critical_while_leaves_are_good() -> None:
    [finding] = find_in_issuer(watched(is_revoked=True, last_leaf_ends_at=NOW + DAY), now=NOW)
    assert (finding.code, finding.severity) == ("issuer-revoked-with-leaves", Severity.CRITICAL)
    assert codes(watched(is_revoked=True)) == []


def test_retired_issuer_is_left_in_peace() -> None:
    assert codes(watched(state=IssuerState.RETIRED, not_after=NOW - DAY)) == []


def test_trusted_issuer_can_only_end() -> None:
    assert codes(watched(kind=IssuerKind.TRUSTED, not_after=NOW + 300 * DAY)) == []
    [finding] = find_in_issuer(watched(kind=IssuerKind.TRUSTED, not_after=NOW + 80 * DAY), now=NOW)
    assert finding.code == "issuer-ends-in-90-days"
    assert finding.remedy.startswith("Ask whose it is")


def test_request_that_was_carried_away_is_told_and_after_a_week_asked_for() -> None:
    request = OpenRequest(
        id="r1", domain=NORTH, kind=RequestKind.CRL, slug="north-root", purpose="The CRL 7", created_at=NOW - 7 * DAY
    )
    fresh, old = find_in_request(request, now=NOW), find_in_request(request, now=NOW + timedelta(seconds=1))
    assert (fresh.code, fresh.severity) == ("signing-request-open", Severity.INFO)
    assert (old.code, old.severity) == ("signing-request-waits", Severity.WARNING)
    assert "the offline issuer north-root" in fresh.detail


def test_request_of_a_ca_to_be_is_told_apart() -> None:
    request = OpenRequest(
        id="r2", domain=NORTH, kind=RequestKind.ISSUER, slug="new-ca", purpose="The certificate of new-ca",
        created_at=NOW,
    )  # fmt: skip
    finding = find_in_request(request, now=NOW)
    assert finding.subject.kind == "pki.issuer_request"
    assert "a CA elsewhere" in finding.detail
