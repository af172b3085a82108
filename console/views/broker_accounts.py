"""Accounts on a broker that Gatehouse did not make: acknowledging one, or no more."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from brokers import queries, services
from console.views.frame import Visit, screen
from kernel.core.errors import DomainError


@require_POST
@screen("brokers:read")
def acknowledge(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Has the account known from now on, or no more."""
    broker = queries.get_broker(name=name, domains=visit.caller.domain_ids)
    visit.check_may("brokers:write", broker.domain)
    account, known = request.POST.get("account", ""), bool(request.POST.get("known"))
    change = {"add" if known else "remove": [account]}
    try:
        services.acknowledge_accounts(broker=broker.id, **change, actor=visit.actor, now=visit.now)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        said = (
            "is known, and no finding any more" if known else "is unknown again: the next look finds it if it is there"
        )
        messages.success(request, f"{account} {said}.")
    return HttpResponseRedirect(reverse("broker", args=[broker.name]))
