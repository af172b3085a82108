"""Searching certificates: narrowed and by keyset, so that a million cost no more than a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from kernel.core.ids import DomainId
from pki.core.values import CertificateState, IssuedCertificate, IssuerId
from pki.models import Certificate
from pki.queries.certificates import CERTIFICATES, with_serial


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFilter:
    """Which certificates are looked for; what is empty does not narrow. All of it has to fit.

    `serial` and `subject` are beginnings, in lower-case hex and as RFC 4514 spells it; `ends_from` is inclusive,
    `ends_before` exclusive.
    """

    holder: str = ""
    issuer: IssuerId | None = None
    state: CertificateState | None = None
    profile: str = ""
    serial: str = ""
    subject: str = ""
    fingerprint: str = ""
    ends_from: datetime | None = None
    ends_before: datetime | None = None

    @property
    def by_end(self) -> bool:
        """Whether what ends soonest comes first; else the newest does."""
        return self.ends_from is not None or self.ends_before is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePlace:
    """The sort key of a row of a search: its end if it is `by_end`, and its id."""

    not_after: datetime | None
    id: UUID


def search_certificates(
    *, domain: DomainId, narrowed: CertificateFilter, after: CertificatePlace | None = None, limit: int = 50
) -> list[IssuedCertificate]:
    """At most `limit` of the domain's certificates that fit, behind the place `after`."""
    rows = _narrowed(CERTIFICATES, domain, narrowed)
    if narrowed.by_end:
        if after is not None and after.not_after is not None:
            behind = Q(not_after__gt=after.not_after) | Q(not_after=after.not_after, id__gt=after.id)
            rows = rows.filter(behind, not_after__gte=after.not_after)
        rows = rows.order_by("not_after", "id")
    else:
        rows = (rows.filter(id__lt=after.id) if after is not None else rows).order_by("-id")
    return [row.as_value() for row in rows[:limit]]


def _narrowed(rows: QuerySet[Certificate], domain: DomainId, narrowed: CertificateFilter) -> QuerySet[Certificate]:
    exact = {
        "holder": narrowed.holder,
        "issuer_id": narrowed.issuer,
        "state": narrowed.state,
        "profile": narrowed.profile,
        "fingerprint": narrowed.fingerprint,
        "subject__startswith": narrowed.subject,
        "not_after__gte": narrowed.ends_from,
        "not_after__lt": narrowed.ends_before,
    }
    rows = rows.filter(domain_id=domain, **{name: value for name, value in exact.items() if value})
    return with_serial(rows, narrowed.serial, domains=[domain]) if narrowed.serial else rows
