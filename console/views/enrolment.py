"""Enrolment tokens: how much of each is used, a new one (shown once), and its end."""

from __future__ import annotations

import ipaddress
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.views.enrolment_lines import enrolment_lines
from console.views.forms import ConsoleForm
from console.views.frame import NotHere, NotYours, Visit, screen, show
from console.views.paging import place_of
from devices import queries, services
from devices.core.values import EnrolmentRequestId, RequestState
from kernel.core.errors import Conflict, DomainError

_ENDS = (
    (3_600, "an hour"),
    (86_400, "a day"),
    (7 * 86_400, "a week"),
    (30 * 86_400, "30 days"),
    (365 * 86_400, "a year"),
)


class TokenForm(ConsoleForm):
    """What a token allows."""

    profile = forms.ChoiceField(help_text="It says what type the devices get, and whether somebody approves them.")
    max_uses = forms.IntegerField(
        label="How many devices", min_value=1, max_value=1_000_000, initial=1, help_text="The quota of the token."
    )
    expires_in = forms.TypedChoiceField(label="It ends after", choices=_ENDS, coerce=int, initial=86_400)
    allowed_networks = forms.CharField(
        label="Only from these networks",
        required=False,
        max_length=1_000,
        help_text="CIDR, separated by blanks, such as 192.0.2.0/24 2001:db8::/32. Empty: from anywhere.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, profiles: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["profile"].choices = [(name, name) for name in profiles]  # type: ignore[attr-defined]

    def clean_allowed_networks(self) -> list[str]:
        """Each has to be one."""
        words: list[str] = self.cleaned_data["allowed_networks"].replace(",", " ").split()
        for word in words:
            try:
                ipaddress.ip_network(word)
            except ValueError as error:
                raise forms.ValidationError(f"{word} is no network: {error}.") from error
        return words


@require_safe
@screen("enrolment-tokens:read")
def list_tokens(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain's tokens, the newest first."""
    place = place_of(request)
    before = place.uuid_key()
    tokens = queries.list_enrolment_tokens(domains=[visit.domain.id])
    found = [token for token in tokens if before is None or token.id < before]
    shown = found[: place.size]
    more = [str(shown[-1].id)] if len(found) > place.size else None
    waiting = []
    if visit.may("enrolment-requests:read"):
        waiting = queries.list_enrolment_requests(domains=[visit.domain.id], state=RequestState.PENDING.value, limit=50)
    context = {
        "waiting": waiting,
        "may_decide": visit.may("enrolment-requests:write"),
        "tokens": shown,
        "pager": place.pager(shown=len(shown), next_key=more, noun="tokens"),
        "may_write": visit.may("enrolment-tokens:write"),
    }
    return show(request, "enrolment.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("enrolment-tokens:write")
def mint_token(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """A form; sent, the new token with the lines that use it, this once."""
    profiles = [profile.name for profile in queries.list_enrolment_profiles(domains=[visit.domain.id])]
    form = TokenForm(request.POST or None, profiles=profiles)
    if request.method == "POST" and form.is_valid():
        try:
            minted = services.mint_enrolment_token(
                domain=visit.domain.id,
                profile=form.cleaned_data["profile"],
                max_uses=form.cleaned_data["max_uses"],
                expires_in_seconds=form.cleaned_data["expires_in"],
                allowed_networks=form.cleaned_data["allowed_networks"],
                actor=visit.actor,
                now=visit.now,
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            context = {"minted": minted, "lines": enrolment_lines(token=minted.token), "form": form}
            return show(request, "token_minted.html", context)
    return show(request, "token_form.html", {"form": form, "profiles": profiles})


@require_POST
@screen("enrolment-tokens:read")
def revoke_token(request: HttpRequest, visit: Visit, token: UUID) -> HttpResponseBase:
    """Ends a token at once; devices that came in with it stay."""
    known = queries.list_enrolment_tokens(domains=visit.caller.domain_ids)
    found = next((row for row in known if row.id == token), None)
    if found is None:
        raise NotHere("There is no such enrolment token, or it belongs to a domain that is not yours.")
    visit.check_may("enrolment-tokens:write", found.domain)
    services.revoke_enrolment_token(token=found.id, actor=visit.actor, now=visit.now)
    messages.success(request, "The token is revoked: nobody comes in with it any more.")
    return HttpResponseRedirect(reverse("enrolment"))


@require_POST
@screen("enrolment-requests:read")
def decide_request(request: HttpRequest, visit: Visit, enrolment: UUID, verdict: str) -> HttpResponseBase:
    """Lets a device in that waits, or turns it away."""
    wanted = EnrolmentRequestId(enrolment)
    if not queries.enrolment_request_exists(request=wanted, domains=visit.caller.domain_ids):
        raise NotHere("There is no such enrolment request, or it belongs to a domain that is not yours.")
    within = visit.whole.within("enrolment-requests:write").domain_ids
    if not queries.enrolment_request_exists(request=wanted, domains=within):
        raise NotYours("Your role does not let you decide on enrolments: ask an owner of the domain.")
    try:
        if verdict == "approve":
            services.approve_request(request=wanted, actor=visit.actor, now=visit.now)
            messages.success(request, "Approved: the device gets its certificate when it asks again.")
        else:
            services.deny_request(request=wanted, actor=visit.actor, now=visit.now)
            messages.success(request, "Denied: the device is turned away.")
    except Conflict as error:
        messages.error(request, error.detail)
    return HttpResponseRedirect(reverse("enrolment"))
