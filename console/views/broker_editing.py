"""Editing what a broker is registered with."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from brokers import queries, services
from brokers.core.registration import EMBEDDED
from console.views.broker_forms import BrokerForm
from console.views.frame import Visit, screen, show
from kernel.core.errors import DomainError


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def edit_broker(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Name, listeners and connection as a form; sent, they are kept."""
    broker = queries.get_broker(name=name, domains=visit.caller.domain_ids)
    visit.check_may("brokers:write", broker.domain)
    form = BrokerForm(request.POST or None, broker=broker, shown=queries.shown_connection_of(broker=broker.id))
    if request.method == "POST" and form.is_valid():
        try:
            changed = services.change_broker(
                broker=broker.id,
                change=form.change(),
                expected=form.cleaned_data["tag"],
                actor=visit.actor,
                now=visit.now,
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            messages.success(request, "Saved. If it is spoken to otherwise, it is being compared with the policy.")
            return HttpResponseRedirect(reverse("broker", args=[changed.name]))
    may_forget = broker.name != EMBEDDED or not queries.embedded_pid()
    return show(request, "broker_form.html", {"broker": broker, "form": form, "may_forget": may_forget})
