"""Adding an issuer: made here, brought here, asked of a CA elsewhere, kept offline, or only believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.views.forms import ConsoleForm
from console.views.frame import NotHere, Visit, screen, show
from console.views.issuer_forms import (
    ImportForm,
    InstallForm,
    IssuingForm,
    OfflineForm,
    RequestForm,
    RootForm,
    SuccessorForm,
    TrustForm,
)
from kernel.core.errors import Conflict, Invalid, NotFound, Unavailable
from kernel.core.ids import DomainId
from pki import queries, services
from pki.core.issuer_values import IssuerRequest, SigningRequest
from pki.core.values import Issuer, IssuerKind, IssuerState
from pki.queries.issuer_requests import find_issuer_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to an issuer. `explains` says in plain words what comes of it."""

    name: str
    title: str
    explains: str
    button: str
    form: type[ConsoleForm]
    make: Callable[..., Issuer | IssuerRequest | SigningRequest]


def _below(*, domain: DomainId, **values: Any) -> Issuer | SigningRequest:
    """An issuing CA; what an offline parent has to sign so that there is one."""
    del domain  # it is in its parent's
    if queries.find_issuer(id=values["parent"]).kind is IssuerKind.OFFLINE:
        return services.order_issuing_ca(**values)
    return services.create_issuing_ca(**values)


WAYS: Mapping[str, Way] = {
    way.name: way
    for way in (
        Way(
            name="root",
            title="A new root",
            explains="A self-signed CA that vouches for all below it. Keep it for signing issuing CAs alone.",
            button="Make the root",
            form=RootForm,
            make=services.create_root,
        ),
        Way(
            name="issuing-ca",
            title="A new issuing CA",
            explains="A CA below one of yours; it signs the certificates of devices, applications and brokers.",
            button="Make the issuing CA",
            form=IssuingForm,
            make=_below,
        ),
        Way(
            name="request",
            title="A CA signed elsewhere",
            explains="A fresh key and a request (CSR) for another CA; it becomes an issuer with what comes back.",
            button="Make key and request",
            form=RequestForm,
            make=services.request_issuer,
        ),
        Way(
            name="import",
            title="Import a CA with its key",
            explains="Take over a CA that was made elsewhere, with what it revoked so far.",
            button="Import it",
            form=ImportForm,
            make=services.import_issuer,
        ),
        Way(
            name="offline",
            title="A CA whose key stays offline",
            explains="It signs by files: what it has to sign waits here, is signed elsewhere, and is brought back.",
            button="Register it",
            form=OfflineForm,
            make=services.import_offline_issuer,
        ),
        Way(
            name="trusted",
            title="A CA to believe only",
            explains="Such as a manufacturer's, whose device identities (IDevID) are accepted at enrolment.",
            button="Trust it",
            form=TrustForm,
            make=services.trust_issuer,
        ),
    )
}


@require_safe
@screen("issuers:read")
def choose_way(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The ways to an issuer."""
    visit.check_may("issuers:sign")
    return show(request, "issuer_ways.html", {"ways": WAYS.values()})


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def make_issuer(request: HttpRequest, visit: Visit, way: str) -> HttpResponseBase:
    """Makes an issuer, or a request for one, in one of the ways."""
    visit.check_may("issuers:sign")
    chosen = WAYS[way]
    form = _form(request, visit, chosen)
    if request.method == "POST" and form.is_valid():
        try:
            made = chosen.make(domain=visit.domain.id, actor=visit.actor, now=visit.now, **form.values())  # type: ignore[attr-defined]
        except (Invalid, Conflict, NotFound, Unavailable) as error:
            form.add_fault(error)
        else:
            return _to(made)
    context = {"way": chosen, "form": form, "uploads": form.is_multipart()}
    return show(request, "issuer_form.html", context)


def _form(request: HttpRequest, visit: Visit, way: Way) -> ConsoleForm:
    more: dict[str, Any] = {"parents": _active(visit)} if way.form is IssuingForm else {}
    if issubclass(way.form, SuccessorForm):
        more = {"successible": _active(visit)}
    asked = {"parent": request.GET.get("parent", "")} if request.GET.get("parent") else None
    return way.form(request.POST or None, request.FILES or None, initial=asked, **more)


def _active(visit: Visit) -> list[Issuer]:
    return queries.list_issuers(
        domains=[visit.domain.id], kinds=[IssuerKind.ONLINE, IssuerKind.OFFLINE], states=[IssuerState.ACTIVE]
    )


def _to(made: Issuer | IssuerRequest | SigningRequest) -> HttpResponse:
    match made:
        case SigningRequest(issuer=slug):
            return HttpResponseRedirect(reverse("issuer-sign", args=[slug]))
        case IssuerRequest(slug=slug):
            return HttpResponseRedirect(reverse("issuer-request", args=[slug]))
        case Issuer(slug=slug):
            return HttpResponseRedirect(reverse("issuer", args=[slug]))


def seen_request(visit: Visit, slug: str) -> IssuerRequest:
    """The request, in a domain of the visit. Raises UnknownIssuerRequest."""
    return find_issuer_request(slug=slug, domains=visit.caller.domain_ids)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def show_request(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """A CA to be: its request, and the form for the certificate that comes back."""
    found = seen_request(visit, slug)
    form = InstallForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        visit.check_may("issuers:sign", found.domain)
        if form.is_valid():
            try:
                issuer = services.install_issuer(
                    slug=slug, domains=[found.domain], actor=visit.actor, now=visit.now, **form.values()
                )
            except (Invalid, Conflict, Unavailable) as error:
                form.add_fault(error)
            else:
                messages.success(request, f"{issuer.name} is an issuer now.")
                return _to(issuer)
    context = {"asked": found, "form": form, "may_sign": visit.may("issuers:sign", found.domain)}
    return show(request, "issuer_request.html", context)


@require_safe
@screen("issuers:read")
def download_request(request: HttpRequest, visit: Visit, slug: str) -> HttpResponse:
    """The request as PEM (PKCS#10)."""
    del request
    found = seen_request(visit, slug)
    headers = {"Content-Disposition": f'attachment; filename="{found.slug}.csr"'}
    return HttpResponse(found.csr_pem, content_type="application/pkcs10", headers=headers)


@require_POST
@screen("issuers:read")
def cancel_request(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """Gives the request and its key up."""
    found = seen_request(visit, slug)
    visit.check_may("issuers:sign", found.domain)
    try:
        services.cancel_issuer_request(slug=slug, domains=[found.domain], actor=visit.actor, now=visit.now)
    except NotFound as error:
        raise NotHere(error.detail) from error
    except Conflict as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("issuer-request", args=[slug]))
    messages.success(request, f"The request for {found.name} is given up.")
    return HttpResponseRedirect(reverse("issuers"))
