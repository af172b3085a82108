"""Reading CRLs."""

from __future__ import annotations

from collections.abc import Collection

from kernel.core.ids import DomainId
from pki.core.pem import encode_pem
from pki.core.values import CrlKind, CrlStatus, IssuerId, PublishedCrl
from pki.models import Crl
from pki.queries.issuers import list_issuers

_FULL = Crl.objects.filter(kind=CrlKind.FULL)


def latest_crl(*, issuer: IssuerId) -> PublishedCrl | None:
    """The issuer's newest CRL."""
    row = _FULL.filter(issuer_id=issuer).order_by("-number").first()
    return row.as_value() if row else None


def newest_crl_number(*, slug: str) -> int | None:
    """The number of the newest CRL of the issuer `slug`; None without one."""
    return _FULL.filter(issuer__slug=slug).order_by("-number").values_list("number", flat=True).first()


def crl_status(*, issuer: IssuerId) -> CrlStatus | None:
    """The issuer's newest CRL without its octets."""
    return crl_statuses(issuers=[issuer]).get(issuer)


def crl_statuses(*, issuers: Collection[IssuerId]) -> dict[IssuerId, CrlStatus]:
    """The same of several issuers; those without a CRL are left out."""
    rows = _FULL.filter(issuer_id__in=issuers).defer("der").select_related("issuer").order_by("number")
    return {
        IssuerId(row.issuer_id): CrlStatus(
            number=row.number,
            this_update=row.this_update,
            next_update=row.next_update,
            entries=row.entries,
            is_due=row.revision < row.issuer.revision,
        )
        for row in rows  # the newest last
    }


def crl_bundle(*, domain: DomainId) -> str:
    """PEM of the newest CRL of each of the domain's issuers: what an OpenSSL-based broker reads."""
    found = [latest_crl(issuer=issuer.id) for issuer in list_issuers(domains=[domain])]
    return "".join(encode_pem("X509 CRL", crl.der) for crl in found if crl)


def crl_is_due(*, issuer: IssuerId) -> bool:
    """Whether there are revocations that the newest CRL lacks."""
    status = crl_status(issuer=issuer)
    return status is None or status.is_due
