"""What an offline CA has to sign: taken out as a file, brought back signed."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console.views.frame import NotHere, Visit, screen, show
from console.views.issuer import seen_issuer
from console.views.issuer_act_forms import SignaturesForm
from kernel.core.errors import Conflict, Invalid
from pki import queries, services
from pki.core.issuer_values import SigningRequestId
from pki.core.values import Issuer, IssuerKind
from pki.queries.issuer_requests import get_signing_request


def _offline(visit: Visit, slug: str) -> Issuer:
    issuer = seen_issuer(visit, slug)
    visit.check_may("issuers:sign", issuer.domain)
    if issuer.kind is not IssuerKind.OFFLINE:
        raise NotHere(f"{issuer.slug} signs here: it has nothing to sign elsewhere.")
    return issuer


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def sign_offline(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """What waits for the offline CA's signature, the file to carry there, and the form for the one that comes back."""
    issuer = _offline(visit, slug)
    form, outcomes = SignaturesForm(request.POST or None, request.FILES or None), []
    if request.method == "POST" and form.is_valid():
        try:
            outcomes = services.import_signatures(
                issuer=issuer.id, file=form.cleaned_data["file"], actor=visit.actor, now=visit.now
            )
        except (Invalid, Conflict) as error:
            form.add_fault(error)
    context = {
        "issuer": issuer,
        "form": form,
        "outcomes": outcomes,
        "orders": queries.list_signing_requests(issuer=issuer.id),
    }
    return show(request, "offline_signing.html", context)


@require_POST
@screen("issuers:read")
def export(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """The file of all that it has to sign; its next CRL and OCSP signer are put into it if they are due."""
    del request
    issuer = _offline(visit, slug)
    file = services.export_signing_requests(issuer=issuer.id, now=visit.now)
    headers = {"Content-Disposition": f'attachment; filename="{slug}-to-sign.json"'}
    return HttpResponse(file, content_type="application/json", headers=headers)


@require_POST
@screen("issuers:read")
def cancel(request: HttpRequest, visit: Visit, order: UUID) -> HttpResponseBase:
    """Gives up what waits for a signature."""
    found = get_signing_request(id=SigningRequestId(order), domains=visit.caller.domain_ids)
    issuer = _offline(visit, found.issuer)
    try:
        services.cancel_signing_request(id=found.id, actor=visit.actor, now=visit.now)
    except Conflict as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "It is given up: a signature that comes for it is refused.")
    return HttpResponseRedirect(reverse("issuer-sign", args=[issuer.slug]))
