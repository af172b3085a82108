"""The keys that sign devices' access tokens: which signs, which follows, and replacing them all at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from brokers.core.token_keys import KNOWN_AFTER, SIGNS_FOR, KeyState, state_of
from brokers.queries import list_token_keys
from brokers.services import replace_token_keys
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from devices.queries import list_domains
from kernel.core.errors import DomainError

_BADGES = {KeyState.NEXT: "staged", KeyState.SIGNING: "active", KeyState.OLD: "retiring"}
_WORDS = {KeyState.NEXT: "signs next", KeyState.SIGNING: "signs", KeyState.OLD: "signed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key for people. `until` is when the next one takes over, or when an old one leaves the key set."""

    kid: str
    badge: str
    word: str
    signs_from: datetime
    until: datetime


@require_safe
@screen("issuers:read")
def list_keys(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Every key in the key set, the newest first."""
    address = f"{settings.GATEHOUSE_BASE_URL}/.well-known/jwks.json"
    context = {"rows": _rows(visit.now), "address": address, "may_replace": _may_replace(visit)}
    return show(request, "token_keys.html", context)


class ReplaceForm(ConsoleForm):
    """Why."""

    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")


@require_http_methods(["GET", "HEAD", "POST"])
@screen("issuers:sign")
def replace_keys(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Replaces all of them at once; the list then shows the fresh one."""
    form = ReplaceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        note = form.cleaned_data["note"]
        try:
            replace_token_keys(domains=visit.caller.domain_ids, actor=visit.actor, now=visit.now, note=note)
        except DomainError as error:
            form.add_fault(error)
        else:
            messages.success(request, "A fresh key signs. Tokens that the others signed are refused here from now on.")
            return HttpResponseRedirect(reverse("token-keys"))
    return show(request, "token_keys_replace.html", {"form": form, "may_replace": _may_replace(visit)})


def _rows(now: datetime) -> list[KeyRow]:
    keys = list_token_keys()
    rows = []
    for key, following in zip(keys, [*keys[1:], None], strict=False):
        state = state_of(key, keys, now=now)
        ends = following.signs_from if following else key.signs_from + SIGNS_FOR
        until = ends + KNOWN_AFTER if state is KeyState.OLD else ends
        rows.append(
            KeyRow(kid=key.kid, badge=_BADGES[state], word=_WORDS[state], signs_from=key.signs_from, until=until)
        )
    return rows[::-1]


def _may_replace(visit: Visit) -> bool:
    """Whether the operator may in every domain: the keys are of all."""
    return all(visit.may("issuers:sign", domain.id) for domain in list_domains())
