"""Brokers: whether each holds the policy, what it can not enforce, and bringing it to the desired state."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from brokers import queries, services
from brokers.conf import decisions_url
from brokers.core.outcomes import Comparison
from brokers.core.plans import PlannedDeviation, planned_deviation
from brokers.core.ports import DeviationKind, PasswordRoom
from brokers.core.values import Broker, PlanId, SyncState
from console.views.broker_kinds import ASKS, KINDS
from console.views.disconnecting import endable
from console.views.frame import Visit, screen, show
from console.views.operations import find_panel
from console.views.sessions import silence_of
from kernel.core.errors import Conflict, DomainError, Unavailable

_SESSIONS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRow:
    """A broker in the list."""

    broker: Broker
    kind: str
    sessions: int


def broker_rows(visit: Visit) -> list[BrokerRow]:
    """The brokers of the visit's domain."""
    return [
        BrokerRow(broker=broker, kind=KINDS[broker.kind].title, sessions=queries.count_sessions(broker=broker.id))
        for broker in queries.list_brokers(domains=[visit.domain.id])
    ]


@require_safe
@screen("brokers:read")
def list_brokers(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The brokers of the domain."""
    return show(request, "brokers.html", {"rows": broker_rows(visit), "may_write": visit.may("brokers:write")})


@require_safe
@screen("brokers:read")
def show_broker(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """One broker."""
    broker = _seen(visit, name)
    sessions = queries.sessions_on(broker=broker.id, limit=_SESSIONS_SHOWN)
    context = {
        "broker": broker,
        "kind": KINDS[broker.kind].title,
        "tab": "state",
        "differs": broker.sync in {SyncState.DRIFT, SyncState.PENDING},
        "differs_words": _differs_words(broker),
        "may_read_log": visit.may("access-log:read", broker.domain) and broker.domain == visit.domain.id,
        "panel": find_panel(visit, request.GET.get("operation", "")),
        "silence": silence_of(broker),
        "sessions": sessions,
        "endable": endable(visit, broker, sessions),
        "session_count": queries.count_sessions(broker=broker.id),
        "may_apply": visit.may("policy:apply", broker.domain),
        "stores_policy": queries.capabilities_of(broker=broker.id).stores_policy,
        "may_ask": broker.kind in ASKS,
        "secrets": queries.decision_secrets_of(broker=broker.id),
        "decisions_url": decisions_url(broker.id),
        "auth": services.auth_chain_of(broker=broker.id),
        "may_write": visit.may("brokers:write", broker.domain),
        "may_take_passwords": _may_take_passwords(visit, broker),
    }
    return show(request, "broker.html", context)


def _differs_words(broker: Broker) -> str:
    """What is known of how it differs, where nothing does or nobody knows."""
    if broker.sync is SyncState.UNREACHABLE:
        return "It does not answer, so nobody knows."
    if broker.managed_since is None:
        return "No plan was applied yet: a plan says what would be changed."
    return "As far as was seen, nothing." if broker.last_seen_at else "Not compared yet."


def _may_take_passwords(visit: Visit, broker: Broker) -> bool:
    """Whether the operator can say that devices may log in there with passwords, or not."""
    has_room = queries.capabilities_of(broker=broker.id).passwords is not PasswordRoom.NONE
    return has_room and visit.may("brokers:write", broker.domain)


@require_POST
@screen("brokers:read")
def take_passwords(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Has the broker take devices' passwords, or no more; it follows by itself."""
    broker = _seen(visit, name)
    visit.check_may("brokers:write", broker.domain)
    taken = bool(request.POST.get("taken"))
    try:
        services.take_passwords(broker=broker.id, taken=taken, actor=visit.actor, now=visit.now)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        said = "Devices may log in with their passwords." if taken else "No password lets anybody in there any more."
        messages.success(request, said)
    return HttpResponseRedirect(reverse("broker", args=[broker.name]))


def _seen(visit: Visit, name: str) -> Broker:
    return queries.get_broker(name=name, domains=visit.caller.domain_ids)


@require_safe
@screen("brokers:read")
def show_deviations(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """What the broker can not enforce exactly: a part of its page, fetched apart since the whole policy is rendered."""
    broker = _seen(visit, name)
    rendering = services.render_broker(broker=broker.id, now=visit.now)
    found: list[PlannedDeviation] = [planned_deviation(deviation) for deviation in rendering.deviations]
    capabilities = queries.capabilities_of(broker=broker.id)
    context = {
        "deviations": found,
        "limits": capabilities.limits,
        "versions": ", ".join(capabilities.protocol_versions),
    }
    return show(request, "parts/deviations.html", context)


@require_safe
@screen("brokers:read")
def show_differences(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """How the broker differs from the policy now: a part of its page, fetched apart since the broker is asked."""
    broker = _seen(visit, name)
    try:
        context: dict[str, object] = {"found": services.compare_broker(broker=broker.id, now=visit.now)}
    except DomainError as error:
        context = {"fault": error.detail}
    return show(request, "parts/differences.html", context)


@require_POST
@screen("brokers:read")
def check(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Compares the broker with the policy now, and says how it stands."""
    broker = _seen(visit, name)
    visit.check_may("policy:apply", broker.domain)
    try:
        found: Comparison = services.compare_broker(broker=broker.id, now=visit.now)
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        if found.count:
            messages.warning(request, found.detail)
        else:
            messages.success(request, found.detail or "It holds exactly the policy.")
    return HttpResponseRedirect(reverse("broker", args=[broker.name]))


@require_POST
@screen("brokers:read")
def make_plan(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Computes a plan from what the broker holds now, and shows it."""
    broker = _seen(visit, name)
    visit.check_may("policy:apply", broker.domain)
    try:
        plan = services.plan_broker(broker=broker.id, actor=visit.actor, now=visit.now)
    except Unavailable as error:
        messages.error(request, f"{error.detail} Nothing was changed; check that {broker.name} runs, then plan again.")
        return HttpResponseRedirect(reverse("broker", args=[broker.name]))
    return HttpResponseRedirect(reverse("broker-plan", args=[broker.name, plan.id]))


@require_GET
@screen("brokers:read")
def show_plan(request: HttpRequest, visit: Visit, name: str, plan: UUID) -> HttpResponse:
    """What the plan would do, for whom, and what the broker can not express."""
    broker = _seen(visit, name)
    found = queries.get_plan(plan=PlanId(plan), broker=broker.id)
    context = {
        "broker": broker,
        "plan": found,
        "wider": [deviation for deviation in found.deviations if deviation.kind == DeviationKind.WIDER],
        "may_apply": visit.may("policy:apply", broker.domain),
    }
    return show(request, "broker_plan.html", context)


@require_POST
@screen("brokers:read")
def apply_plan(request: HttpRequest, visit: Visit, name: str, plan: UUID) -> HttpResponseBase:
    """Applies the plan; the broker's page then shows the operation."""
    broker = _seen(visit, name)
    visit.check_may("policy:apply", broker.domain)
    try:
        operation = services.apply_plan(
            broker=broker.id,
            plan=PlanId(plan),
            accept_deviations=tuple(request.POST.getlist("accept")),
            actor=visit.actor,
            now=visit.now,
        )
    except Conflict as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("broker-plan", args=[broker.name, plan]))
    return HttpResponseRedirect(f"{reverse('broker', args=[broker.name])}?operation={operation}")
