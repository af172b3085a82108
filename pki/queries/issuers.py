"""Reading issuers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from pki.core.values import CertificateState, Issuer, IssuerId
from pki.models import Certificate, OcspSigner, to_pem
from pki.models import Issuer as IssuerRow


class UnknownIssuer(NotFound):
    """There is no such issuer."""

    code = "issuer-unknown"


_ISSUERS = IssuerRow.objects.select_related("parent__parent")


def find_issuer(*, slug: str = "", id: IssuerId | None = None, domains: Collection[DomainId] | None = None) -> Issuer:
    """The issuer of that slug or id, in one of `domains` if they are given. Raises UnknownIssuer."""
    rows = _ISSUERS.filter(id=id) if id else _ISSUERS.filter(slug=slug)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    return row.as_value()


def list_issuers(*, domains: Collection[DomainId] | None = None) -> list[Issuer]:
    """Every issuer of the domains (of all, if None), those above before those below."""
    rows = _ISSUERS.order_by("id")
    return [row.as_value() for row in (rows if domains is None else rows.filter(domain_id__in=domains))]


def trust_bundle(*, domain: DomainId) -> str:
    """PEM of the domain's roots and of the CAs below them: what a device or broker trusts."""
    rows = IssuerRow.objects.filter(domain_id=domain).order_by("id")
    return "".join(to_pem(bytes(row.der)) for row in rows)


def ocsp_signer_ends_at(*, issuer: IssuerId) -> datetime | None:
    """When the newest OCSP signer's certificate ends."""
    signer = OcspSigner.objects.filter(issuer_id=issuer).select_related("certificate").order_by("-pk").first()
    return signer.certificate.not_after if signer else None


def is_issuer_revoked(issuer: IssuerRow) -> bool:
    """Whether the issuer's certificate, or one above it, is revoked or on hold; a root's is not ours to revoke."""
    if issuer.parent is None:
        return False
    own = Certificate.objects.filter(issuer=issuer.parent, serial=issuer.serial)
    return own.exclude(state=CertificateState.ISSUED).exists() or is_issuer_revoked(issuer.parent)
