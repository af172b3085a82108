"""A broker that somebody changed by hand: what becomes of that, and adopting it into the policy."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from brokers import queries, services
from brokers.core.values import Broker, OnDrift
from console.views.frame import Visit, screen, show
from console.views.roles import RuleRow, rule_rows
from kernel.core.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedRow:
    """A device with the rules that it would have alone."""

    device: str
    rules: list[RuleRow]


@require_POST
@screen("brokers:read")
def choose(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Has changes made by hand corrected by themselves from now on, or asked about."""
    broker = _seen(visit, name)
    visit.check_may("brokers:write", broker.domain)
    chosen = OnDrift.ASK if request.POST.get("on_drift") == OnDrift.ASK else OnDrift.CORRECT
    services.choose_on_drift(broker=broker.id, on_drift=chosen, actor=visit.actor, now=visit.now)
    asks = "stays until you choose" if chosen is OnDrift.ASK else "is corrected once it has stood for two minutes"
    messages.success(request, f"What somebody changes there by hand {asks}.")
    return HttpResponseRedirect(reverse("broker", args=[broker.name]))


@require_safe
@screen("brokers:read")
def show_adoption(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """What of the broker could become policy, and what not; the broker is asked now."""
    broker = _seen(visit, name)
    context: dict[str, object] = {"broker": broker, "may_draft": visit.may("policy:write", broker.domain)}
    try:
        found = services.adoption_of(broker=broker.id, now=visit.now)
        context |= {
            "found": found,
            "rows": [AdoptedRow(device=one.name, rules=rule_rows(one.rules)) for one in found.rules],
        }
    except DomainError as error:
        context["fault"] = error.detail
    return show(request, "broker_adoption.html", context)


@require_POST
@screen("brokers:read")
def adopt(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Makes the draft, and shows it."""
    broker = _seen(visit, name)
    visit.check_may("policy:write", broker.domain)
    try:
        change, adoption = services.adopt_drift(broker=broker.id, actor=visit.actor, now=visit.now)
    except DomainError as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("broker-adoption", args=[broker.name]))
    left = len(adoption.left)
    stays = (
        f" {left} difference{'' if left == 1 else 's'} can not be adopted, and stay to be corrected." if left else ""
    )
    messages.success(request, f"The draft is made: see what it does on every broker before it is applied.{stays}")
    return HttpResponseRedirect(reverse("change", args=[change.id]))


def _seen(visit: Visit, name: str) -> Broker:
    return queries.get_broker(name=name, domains=visit.caller.domain_ids)
