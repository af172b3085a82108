"""What is left of an issuer: certificates that it signed and that are valid still."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Count, Max

from pki.core.issuer_values import Remainder
from pki.core.values import CertificateState, IssuerId, IssuerState
from pki.models import Certificate
from pki.models import Issuer as IssuerRow

_GOOD = (CertificateState.REQUESTED, CertificateState.ISSUED, CertificateState.HELD)
_LIVING = (IssuerState.ACTIVE, IssuerState.SUPERSEDED)


def remainder_of(*, issuer: IssuerId, now: datetime) -> Remainder:
    """What has not ended, without the issuer's own OCSP signers and certificates for its successor.

    What is on hold counts as valid, since it may come back.
    """
    return remainders_of(issuers=[issuer], now=now)[issuer]


def remainders_of(*, issuers: Collection[IssuerId], now: datetime) -> dict[IssuerId, Remainder]:
    """The same of several. The cost grows with what they have signed that is valid."""
    good = Certificate.objects.filter(issuer_id__in=issuers, not_after__gt=now, state__in=_GOOD)
    good = good.exclude(holder__startswith="ocsp:")
    successors = IssuerRow.objects.filter(predecessor__in=issuers).values_list("slug", flat=True)
    good = good.exclude(holder__in=[f"issuer:{slug}" for slug in successors])
    counted = good.order_by().values("issuer_id").annotate(number=Count("id"), ends_at=Max("not_after"))
    found = {IssuerId(row["issuer_id"]): row for row in counted}
    below: dict[IssuerId, list[str]] = {issuer: [] for issuer in issuers}
    living = IssuerRow.objects.filter(parent_id__in=issuers, not_after__gt=now, state__in=_LIVING).order_by("id")
    for parent, slug in living.values_list("parent_id", "slug"):
        below[IssuerId(parent)].append(slug)
    return {
        issuer: Remainder(
            issuer=issuer,
            certificates=found[issuer]["number"] if issuer in found else 0,
            issuers=tuple(below[issuer]),
            ends_at=found[issuer]["ends_at"] if issuer in found else None,
        )
        for issuer in issuers
    }
