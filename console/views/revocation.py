"""Revocation at a glance: what was revoked lately and why, and whether every CRL says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.views.frame import Visit, screen, show
from console.views.issuers import IssuerRow, issuer_rows
from console.views.paging import DamagedPlace, Place, place_of, to_uuid
from pki.core.values import IssuedCertificate, ReasonCode
from pki.queries.revocations import ReasonCounts, RevocationPlace, count_reasons, list_revocations


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonShare:
    """How often a reason was given; `percent` of the most frequent one's count fills its bar."""

    reason: str
    count: int
    percent: float
    address: str


@require_safe
@screen("certificates:read")
def show_revocation(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The newest revocations and holds, by reason if one is asked for, and every issuer's CRL."""
    place = place_of(request, "reason")
    asked = place.filters["reason"]
    known = asked in set(ReasonCode)
    fault = "" if known or not asked else f"There is no reason {asked!r}: choose one from the list."
    reason = ReasonCode(asked) if known else None
    found = [] if fault else _newest(visit, place, reason)
    shown = found[: place.size]
    counts = count_reasons(domain=visit.domain.id)
    context = {
        "certificates": shown,
        "pager": place.pager(
            shown=len(shown), next_key=_key_of(shown[-1]) if len(found) > place.size else None, noun="revocations"
        ),
        "filters": place.filters,
        "fault": fault,
        "counts": counts,
        "shares": list(_shares(counts)),
        "issuers": _publishing(visit),
        "may_revoke": visit.may("certificates:revoke"),
        "may_sign": visit.may("issuers:sign"),
    }
    return show(request, "revocation.html", context)


def _newest(visit: Visit, place: Place, reason: ReasonCode | None) -> list[IssuedCertificate]:
    return list_revocations(domain=visit.domain.id, reason=reason, after=_after(place), limit=place.size + 1)


def _publishing(visit: Visit) -> list[IssuerRow]:
    if not visit.may("issuers:read"):
        return []
    return [row for row in issuer_rows(visit.domain.id) if row.ours]


def _shares(counts: ReasonCounts) -> Iterator[ReasonShare]:
    most = max((count for _, count in counts.reasons), default=1)
    for reason, count in counts.reasons:
        address = f"{reverse('revocation')}?reason={reason.value}"
        yield ReasonShare(reason=reason.value, count=count, percent=round(100 * count / most, 1), address=address)


def _key_of(certificate: IssuedCertificate) -> list[str]:
    assert certificate.revoked_at is not None
    return [certificate.revoked_at.isoformat(), str(certificate.id)]


def _after(place: Place) -> RevocationPlace | None:
    match place.key:
        case None:
            return None
        case [str(moment), str(id)]:
            try:
                return RevocationPlace(revoked_at=datetime.fromisoformat(moment).astimezone(UTC), id=to_uuid(id))
            except ValueError as error:
                raise DamagedPlace from error
    raise DamagedPlace
