"""What is done to an issuer. Each act says what will happen first; what can not be undone needs the slug typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console.views.frame import NotHere, Visit, screen, show
from console.views.issuer import acts_of, seen_issuer
from console.views.issuer_act_forms import CrossSignForm, RetireForm, RevokeIssuerForm, RollOverForm
from kernel.core.errors import Conflict, DomainError, Invalid, NotFound, Unavailable
from pki import queries, services
from pki.core.values import Issuer, IssuerKind, IssuerState, ReasonCode
from pki.queries.issuance_counts import find_dependents

_REFUSALS = (Invalid, Conflict, NotFound, Unavailable)  # the last: the token with a key is away


def _may(visit: Visit, slug: str, act: str, *, scope: str = "issuers:sign") -> Issuer:
    """The issuer, if the operator may do that, and it can be done. Raises NotYours, NotHere."""
    issuer = seen_issuer(visit, slug)
    visit.check_may(scope, issuer.domain)
    if act not in acts_of(issuer, ended=issuer.not_after <= visit.now):
        raise NotHere(f"{issuer.slug} is {issuer.state}, so this can not be done to it.")
    return issuer


def to_issuer(slug: str) -> HttpResponseRedirect:
    """To the issuer's page."""
    return HttpResponseRedirect(reverse("issuer", args=[slug]))


@require_POST
@screen("issuers:read")
def publish(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """Publishes the CRLs now, whether or not the newest would do."""
    issuer = seen_issuer(visit, slug)
    visit.check_may("issuers:sign", issuer.domain)
    try:
        crl = services.publish_crl(issuer=issuer.id, now=visit.now, force=True)
    except (Conflict, Unavailable) as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"CRL No. {crl.number} of {issuer.slug} is published: it lists {crl.entries:,}.")
    back = "revocation" if request.POST.get("next") == "revocation" else ""
    return HttpResponseRedirect(reverse(back)) if back else to_issuer(slug)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def roll_over(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """A successor with a new key beside the old one."""
    issuer = _may(visit, slug, "roll-over")
    form = RollOverForm(request.POST or None, initial={"key_algorithm": issuer.key_algorithm})
    if request.method == "POST" and form.is_valid():
        try:
            done = services.roll_over_issuer(issuer=issuer.id, actor=visit.actor, now=visit.now, **form.values())
        except _REFUSALS as error:
            form.add_fault(error)
        else:
            if done.successor is None:
                messages.warning(request, "The new CA waits for a signature of the offline CA above it.")
                return HttpResponseRedirect(reverse("issuers"))
            messages.success(request, f"{done.successor.slug} signs new certificates from now on.")
            return to_issuer(done.successor.slug)
    return _page(request, issuer, form, "roll-over")


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def cross_sign(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """Another certificate for the issuer's name and key, by another issuer of ours or by a CA elsewhere."""
    issuer = _may(visit, slug, "cross-sign")
    form = CrossSignForm(request.POST or None, request.FILES or None, signers=_signers(issuer))
    if request.method == "POST" and form.is_valid():
        try:
            words = _cross_sign(visit, issuer, form)
        except _REFUSALS as error:
            form.add_fault(error)
        else:
            messages.success(request, words)
            return to_issuer(slug)
    return _page(request, issuer, form, "cross-sign")


def _signers(issuer: Issuer) -> list[Issuer]:
    kinds = [IssuerKind.ONLINE, IssuerKind.OFFLINE]
    every = queries.list_issuers(domains=[issuer.domain], kinds=kinds, states=[IssuerState.ACTIVE])
    return [each for each in every if each.id != issuer.id]


def _cross_sign(visit: Visit, issuer: Issuer, form: CrossSignForm) -> str:
    signer, validity = form.signer(), form.validity()
    if signer is None:
        services.import_cross_certificate(
            issuer=issuer.id, certificate=form.cleaned_data["certificate"], actor=visit.actor, now=visit.now
        )
        return f"The cross-certificate of {issuer.slug} is kept, and served at /pki/{issuer.slug}/cross.pem."
    wish: Mapping[str, Any] = {"issuer": issuer.id, "signer": signer.id, "validity": validity}
    if signer.kind is IssuerKind.OFFLINE:
        services.order_cross_certificate(**wish, actor=visit.actor, now=visit.now)
        return f"{signer.slug} has to sign it: export what it has to sign."
    services.cross_sign(**wish, actor=visit.actor, now=visit.now)
    return f"{signer.slug} vouches for {issuer.slug} from now on."


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def retire(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """Out of the trust bundle for good, once nothing that it signed is valid."""
    issuer = _may(visit, slug, "retire")
    form = RetireForm(request.POST or None, slug=slug)
    if request.method == "POST" and form.is_valid():
        try:
            services.retire_issuer(issuer=issuer.id, actor=visit.actor, now=visit.now, note=form.cleaned_data["note"])
        except DomainError as error:
            form.add_fault(error)
        else:
            messages.success(request, f"{issuer.slug} is retired.")
            return to_issuer(slug)
    return _page(request, issuer, form, "retire", left=find_dependents(issuer=issuer.id, now=visit.now))


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:read")
def revoke(request: HttpRequest, visit: Visit, slug: str) -> HttpResponseBase:
    """Revoked for good, and with it everything below it."""
    issuer = _may(visit, slug, "revoke")
    visit.check_may("certificates:revoke", issuer.domain)
    form = RevokeIssuerForm(request.POST or None, slug=slug)
    if request.method == "POST" and form.is_valid():
        try:
            services.revoke_issuer(
                issuer=issuer.id,
                reason=ReasonCode(form.cleaned_data["reason"]),
                confirmed=form.cleaned_data["confirm"],
                actor=visit.actor,
                now=visit.now,
                note=form.cleaned_data["note"],
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            messages.success(request, f"{issuer.slug} is revoked.")
            return to_issuer(slug)
    left = find_dependents(issuer=issuer.id, now=visit.now)
    return _page(request, issuer, form, "revoke", left=left)


def _page(request: HttpRequest, issuer: Issuer, form: Any, act: str, **more: Any) -> HttpResponseBase:
    context = {"issuer": issuer, "form": form, "act": act, "uploads": form.is_multipart(), **more}
    return show(request, "issuer_act.html", context)
