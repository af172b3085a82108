"""The certificates that a revocation of many would be about."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from kernel.core.ids import DomainId
from pki.core.revocation_order import RevocationFilter, digest_of
from pki.core.values import CertificateState, IssuedCertificate
from pki.models import Certificate

SAMPLE_SIZE = 10
_OWN = ("issuer:", "ocsp:")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingCertificates:
    """How many there are, the newest ten of them, and the digest that the revocation has to repeat."""

    count: int
    sample: tuple[IssuedCertificate, ...]
    newest: UUID | None
    digest: str


def speaks_for_ca(holder: str) -> bool:
    """Whether certificates of that holder are those of a CA or of an OCSP signer: with them goes all that it signed."""
    return holder.startswith(_OWN)


def matching_certificates(
    *, domain: DomainId, wanted: RevocationFilter, up_to: UUID | None = None, with_cas: bool = True
) -> MatchingCertificates:
    """What would be revoked now, of what is not newer than `up_to`.

    Without `with_cas`, no CA's and no OCSP signer's certificate, even if its holder is named.
    """
    rows = unrevoked(domain, wanted, with_cas=with_cas)
    rows = rows.filter(id__lte=up_to) if up_to else rows
    sample = tuple(
        row.as_value() for row in rows.select_related("issuer__parent__parent").order_by("-id")[:SAMPLE_SIZE]
    )
    newest = up_to or (sample[0].id if sample else None)
    count = rows.filter(id__lte=newest).count() if newest else 0
    digest = digest_of(domain=domain, wanted=wanted, count=count, newest=newest)
    return MatchingCertificates(count=count, sample=sample, newest=newest, digest=digest)


def unrevoked(domain: DomainId, wanted: RevocationFilter, *, with_cas: bool) -> QuerySet[Certificate]:
    """Those of the domain that fit and are not revoked; of CAs and OCSP signers only `with_cas`, by their holder."""
    exact = {
        "issuer__slug": wanted.issuer,
        "profile": wanted.profile,
        "holder": wanted.holder,
        "subject__startswith": wanted.subject,
        "serial__startswith": wanted.serial.lower(),
        "requested_at__gte": wanted.issued_from,
        "requested_at__lt": wanted.issued_before,
        "not_after__gte": wanted.ends_from,
        "not_after__lt": wanted.ends_before,
    }
    rows = Certificate.objects.filter(domain_id=domain, **{name: value for name, value in exact.items() if value})
    if not (with_cas and wanted.holder):
        own = Q()
        for prefix in _OWN:
            own |= Q(holder__startswith=prefix)
        rows = rows.exclude(own)
    return rows.exclude(state=CertificateState.REVOKED)
