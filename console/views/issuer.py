"""One issuer: its certificate, its key's custody, what it publishes, who came before and after it, what it signed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.views.bars import columns
from console.views.certificate import chain_above
from console.views.certificate_fields import fields_of
from console.views.frame import NotHere, Visit, screen, show
from console.views.issuers import issuer_row
from console.views.operations import find_panel
from pki import queries, services
from pki.core.values import Issuer, IssuerKind, IssuerState
from pki.queries.certificate_search import CertificateFilter, search_certificates
from pki.queries.issuance_counts import count_issued_by_day

_DAYS, _WIDTH, _HEIGHT = 30, 600, 70
_KEPT_SECONDS = 40 * 86_400


@require_safe
@screen("issuers:read")
def show_issuer(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """One issuer."""
    issuer = seen_issuer(visit, slug)
    every = queries.list_issuers(domains=[issuer.domain])
    ours = issuer.kind is not IssuerKind.TRUSTED
    may_sign = visit.may("issuers:sign", issuer.domain)
    context = {
        "row": issuer_row(issuer, domain=every),
        "chain": chain_above(issuer, every),
        "below": [each for each in every if each.parent == issuer.id],
        "crls": queries.published_crls(issuer=issuer.id) if ours else [],
        "crosses": queries.list_cross_certificates(issuer=issuer.id),
        "orders": queries.list_signing_requests(issuer=issuer.id),
        "newest": search_certificates(domain=issuer.domain, narrowed=CertificateFilter(issuer=issuer.id), limit=10),
        "fields": fields_of(issuer.certificate_pem),
        "public": f"{queries.public_url()}/pki/{issuer.slug}",
        "certificates": f"{reverse('certificates')}?issuer={issuer.slug}",
        "panel": find_panel(visit, request.GET.get("operation", "")),
        "acts": acts_of(issuer, ended=issuer.not_after <= visit.now) if may_sign else (),
        "may_revoke": visit.may("certificates:revoke", issuer.domain),
    }
    return show(request, "issuer.html", context)


def seen_issuer(visit: Visit, slug: str) -> Issuer:
    """The issuer, in a domain of the visit. Raises UnknownIssuer."""
    return queries.find_issuer(slug=slug, domains=visit.caller.domain_ids)


def acts_of(issuer: Issuer, *, ended: bool) -> tuple[str, ...]:
    """What its kind and state let be done to it, in the order of the page's buttons."""
    if issuer.state not in {IssuerState.ACTIVE, IssuerState.SUPERSEDED}:
        return ()
    if issuer.kind is IssuerKind.TRUSTED:
        return ("retire",)
    online, active = issuer.kind is IssuerKind.ONLINE, issuer.state is IssuerState.ACTIVE
    possible = {
        "publish": online and not ended,
        "sign": not online and not ended,
        "cross-sign": not ended,
        "roll-over": online and active and not ended,
        "retire": True,
        "revoke": True,
    }
    return tuple(act for act, holds in possible.items() if holds)


@require_safe
@screen("issuers:read")
def download_issuer(request: HttpRequest, visit: Visit, slug: str, kind: str) -> HttpResponse:
    """The issuer's certificate as PEM or DER, or with those above it but for the root, as PEM."""
    del request
    issuer = seen_issuer(visit, slug)
    body, name, content_type = {
        "pem": (issuer.certificate_pem.encode(), f"{slug}.pem", "application/x-pem-file"),
        "chain": (issuer.chain_pem.encode(), f"{slug}-chain.pem", "application/x-pem-file"),
        "der": (issuer.certificate_der, f"{slug}.cer", "application/pkix-cert"),
    }[kind]
    return HttpResponse(
        body, content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@require_safe
@screen("issuers:read")
def download_cross_request(request: HttpRequest, visit: Visit, slug: str) -> HttpResponse:
    """The request (PKCS#10) for the issuer's own name and key, for a CA elsewhere."""
    del request
    issuer = seen_issuer(visit, slug)
    visit.check_may("issuers:sign", issuer.domain)
    headers = {"Content-Disposition": f'attachment; filename="{slug}.csr"'}
    return HttpResponse(services.cross_request(issuer=issuer.id), content_type="application/pkcs10", headers=headers)


@require_safe
@screen("issuers:read")
def show_issuance(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """How many certificates it issued on each of the last thirty days: the page asks for it, and need not wait."""
    issuer = seen_issuer(visit, slug)
    if issuer.kind is IssuerKind.TRUSTED:
        raise NotHere("This CA is another's: what it issues is not known here.")
    counted = issued_by_day(issuer, now=visit.now)
    days = columns([(day.strftime("%-d %b"), count) for day, count in counted.items()], width=_WIDTH, height=_HEIGHT)
    context = {"days": days, "total": sum(counted.values()), "width": _WIDTH, "height": _HEIGHT, "issuer": issuer}
    return show(request, "parts/issuance.html", context)


def issued_by_day(issuer: Issuer, *, now: datetime) -> dict[date, int]:
    """The last thirty days, today the last. Days that are over are counted once, and then remembered."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=ago) for ago in range(_DAYS - 1, -1, -1)]
    keys = {day: f"issued:{issuer.id}:{day:%Y%m%d}" for day in days[:-1]}
    kept = cache.get_many(keys.values())
    missing = [day for day in days if keys.get(day) not in kept]
    counted = count_issued_by_day(issuer=issuer.id, begin=missing[0], end=today + timedelta(days=1))
    cache.set_many({keys[day]: counted.get(day.date(), 0) for day in missing[:-1]}, _KEPT_SECONDS)
    return {day.date(): kept.get(keys.get(day, ""), counted.get(day.date(), 0)) for day in days}
