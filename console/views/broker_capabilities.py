"""What a broker can do: how it is spoken to, what it does with whom is thrown out, what of policy it can say."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from brokers import queries
from brokers.core.kind_facts import FACTS
from brokers.core.ports import PasswordRoom
from console.views.broker_kinds import KINDS
from console.views.frame import Visit, screen, show

_PASSWORDS = {
    PasswordRoom.NONE: "none from Gatehouse",
    PasswordRoom.ONE: "one of each, if it takes them",
    PasswordRoom.ALL: "every one that is good, if it takes them",
}


@require_safe
@screen("brokers:read")
def show_capabilities(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The broker's capabilities."""
    broker = queries.get_broker(name=name, domains=visit.caller.domain_ids)
    capabilities = queries.capabilities_of(broker=broker.id)
    yes_no = {
        "Keeps policy of its own": capabilities.stores_policy,
        "Conditions on QoS": capabilities.qos_conditions,
        "Conditions on retained messages": capabilities.retain_conditions,
        "Shared subscriptions": capabilities.shared_subscriptions,
        "Closes a session when told to": capabilities.closes_sessions,
        "Shuts out a revoked certificate beside a good one": capabilities.certificate_lag is not None,
    }
    context = {
        "broker": broker,
        "kind": KINDS[broker.kind].title,
        "tab": "capabilities",
        "facts": FACTS[broker.kind],
        "yes_no": yes_no.items(),
        "passwords": _PASSWORDS[capabilities.passwords],
        "versions": capabilities.protocol_versions,
        "placeholders": sorted(capabilities.placeholders),
        "limits": capabilities.limits,
    }
    return show(request, "broker_capabilities.html", context)
