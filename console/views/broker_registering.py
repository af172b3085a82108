"""Registering a broker of any kind, and forgetting one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from brokers import queries, services
from brokers.core.kind_facts import FACTS
from brokers.core.values import AdapterKind, Broker
from console.views.broker_forms import RegistrationForm
from console.views.broker_kinds import KINDS
from console.views.forms import TypedNameForm
from console.views.frame import NotHere, Visit, screen, show
from kernel.core.errors import DomainError


@require_safe
@screen("brokers:read")
def choose_kind(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The kinds, each with how it is spoken to and what becomes there of who is thrown out."""
    visit.check_may("brokers:write")
    kinds = [(kind, form.title, FACTS[kind]) for kind, form in KINDS.items()]
    return show(request, "broker_kinds.html", {"kinds": kinds})


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def register(request: HttpRequest, visit: Visit, kind: str) -> HttpResponseBase:
    """A form; sent, the broker is registered in the visit's domain, and its page is shown."""
    visit.check_may("brokers:write")
    if kind not in set(AdapterKind):
        raise NotHere("There is no such kind of broker.")
    chosen = AdapterKind(kind)
    form = RegistrationForm(request.POST or None, kind=chosen)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.register_broker(
                domain=visit.domain.id,
                name=form.cleaned_data["name"],
                kind=chosen,
                connection=form.connection(),
                listeners=form.cleaned_data["listeners"],
                actor=visit.actor,
                now=visit.now,
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            messages.success(request, f"Registered. {_next_step(made)}")
            return HttpResponseRedirect(reverse("broker", args=[made.name]))
    context = {"form": form, "title": KINDS[chosen].title, "facts": FACTS[chosen]}
    return show(request, "broker_register.html", context)


def _next_step(broker: Broker) -> str:
    if broker.kind is AdapterKind.HTTP_DECISIONS:
        return "Make a decision secret next, and write it into the broker's configuration."
    if broker.managed_since is None:
        return "Nothing was sent to it: plan changes next, look at them, then apply."
    return "It is asked now how it stands."


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def forget(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """Forgets the broker, once its name is typed."""
    broker = queries.get_broker(name=name, domains=visit.caller.domain_ids)
    visit.check_may("brokers:write", broker.domain)
    form = TypedNameForm(request.POST or None, expected=broker.name)
    if request.method == "POST" and form.is_valid():
        services.remove_broker(broker=broker.id, actor=visit.actor, now=visit.now)
        messages.success(request, f"{broker.name} is forgotten. What it holds, it keeps.")
        return HttpResponseRedirect(reverse("brokers"))
    context = {"form": form, "broker": broker, "sessions": queries.count_sessions(broker=broker.id)}
    return show(request, "broker_forget.html", context)
