"""Issuers: the hierarchy, how long each is valid, and whether its CRL and OCSP signer are fresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.conf import base_url
from console.views.frame import Visit, screen, show
from kernel.core.ids import DomainId
from pki import queries
from pki.core.values import Issuer, IssuerId, PublishedCrl, serial_hex


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRow:
    """An issuer in the hierarchy, `depth` levels below a root."""

    issuer: Issuer
    depth: int
    crl: PublishedCrl | None
    crl_due: bool
    ocsp_ends_at: datetime | None
    serial: str
    parent_slug: str


def issuer_rows(domain: DomainId) -> list[IssuerRow]:
    """The issuers of a domain, each below the one that signed it."""
    issuers = queries.list_issuers(domains=[domain])
    known = {issuer.id: issuer for issuer in issuers}
    below: dict[IssuerId | None, list[Issuer]] = {}
    for issuer in issuers:
        below.setdefault(issuer.parent if issuer.parent in known else None, []).append(issuer)
    rows: list[IssuerRow] = []

    def add(parent: IssuerId | None, depth: int) -> None:
        for issuer in below.get(parent, ()):
            rows.append(issuer_row(issuer, depth=depth, parent=known.get(parent) if parent else None))
            add(issuer.id, depth + 1)

    add(None, 0)
    return rows


def issuer_row(issuer: Issuer, *, depth: int = 0, parent: Issuer | None = None) -> IssuerRow:
    """The issuer with what is published for it."""
    return IssuerRow(
        issuer=issuer,
        depth=depth,
        crl=queries.latest_crl(issuer=issuer.id),
        crl_due=queries.crl_is_due(issuer=issuer.id),
        ocsp_ends_at=queries.ocsp_signer_ends_at(issuer=issuer.id),
        serial=serial_hex(issuer.serial),
        parent_slug=parent.slug if parent else "",
    )


@require_safe
@screen("issuers:read")
def list_issuers(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The hierarchy."""
    return show(request, "issuers.html", {"rows": issuer_rows(visit.domain.id)})


@require_safe
@screen("issuers:read")
def show_issuer(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """One issuer."""
    issuer = _seen(visit, slug)
    parent = queries.find_issuer(id=issuer.parent) if issuer.parent else None
    newest = queries.list_certificates(domains=[issuer.domain], issuer=issuer.slug, limit=10)
    context = {
        "row": issuer_row(issuer, parent=parent),
        "newest": newest,
        "public": f"{base_url()}/pki/{issuer.slug}",
        "certificates": f"{reverse('certificates')}?issuer={issuer.slug}",
    }
    return show(request, "issuer.html", context)


def _seen(visit: Visit, slug: str) -> Issuer:
    issuer = queries.find_issuer(slug=slug)
    visit.check_sees(issuer.domain, what="issuer")
    return issuer
