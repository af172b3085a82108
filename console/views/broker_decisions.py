"""HTTP decisions of a broker: the secrets by which it asks, and what to write into its configuration."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from brokers import queries, services
from brokers.conf import decisions_url
from brokers.core.decide.decisions import DecisionSecretId, Identity
from brokers.core.decide.snippets import IDENTITIES, NAMES, Dialect, snippet
from brokers.core.values import Broker
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from kernel.core.errors import DomainError, NotFound


class SecretForm(ConsoleForm):
    """Which broker asks, and whether its word on names is enough."""

    dialect = forms.ChoiceField(label="It is", choices=[(each.value, NAMES[each]) for each in Dialect])
    certificate = forms.BooleanField(
        label="Believe its names",
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "box"}),
        help_text="Only if devices reach it by no listener but those that require a client certificate of this "
        "domain's CAs, and it takes the username from that. EMQX and VerneMQ can hand the certificate over instead. "
        "Where devices log in by passwords or tokens alone, it is not needed.",
    )

    def clean(self) -> dict[str, Any]:
        """The values. A broker that can only be believed has to be."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        identity = Identity.CERTIFICATE if values.get("certificate") else Identity.SHOWN
        dialect = values.get("dialect")
        if dialect and identity not in IDENTITIES[Dialect(dialect)]:
            self.add_error("certificate", f"{NAMES[Dialect(dialect)]} sends no certificate along, so this has to hold.")
        return values | {"identity": identity}


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def mint_secret(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """A form; sent, the new secret with the lines that use it, this once."""
    broker = _seen(visit, name)
    visit.check_may("brokers:write", broker.domain)
    form = SecretForm(request.POST or None, initial={"dialect": services.auth_chain_of(broker=broker.id).dialect})
    if request.method == "POST" and form.is_valid():
        try:
            minted = services.mint_decision_secret(
                broker=broker.id, identity=form.cleaned_data["identity"], actor=visit.actor, now=visit.now
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            dialect = Dialect(form.cleaned_data["dialect"])
            lines = snippet(dialect, url=decisions_url(broker.id), secret=minted.secret)
            context = {"broker": broker, "minted": minted, "lines": lines, "dialect": NAMES[dialect]}
            return show(request, "decision_secret_minted.html", context)
    return show(request, "decision_secret_form.html", {"form": form, "broker": broker})


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def revoke_secret(request: HttpRequest, visit: Visit, name: str, secret: UUID) -> HttpResponseBase:
    """Says what comes of it; sent, the secret ends, and whoever asks with it is refused within a second."""
    broker = _seen(visit, name)
    visit.check_may("brokers:write", broker.domain)
    if request.method != "POST":
        others = [each for each in queries.decision_secrets_of(broker=broker.id) if each.id != secret]
        return show(request, "decision_secret_revoke.html", {"broker": broker, "secret": secret, "others": others})
    try:
        services.revoke_decision_secret(
            broker=broker.id, secret=DecisionSecretId(secret), actor=visit.actor, now=visit.now
        )
    except NotFound as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "The secret is revoked: what is asked with it is refused within a second.")
    return HttpResponseRedirect(reverse("broker", args=[broker.name]))


def _seen(visit: Visit, name: str) -> Broker:
    return queries.get_broker(name=name, domains=visit.caller.domain_ids)
