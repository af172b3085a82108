"""What policy could do without, and what is denied again and again; each suggestion is a draft by one click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from acl import queries as roles
from acl.core.suggestions import Suggestion
from acl.core.templates import parse, substitute
from acl.core.values import Effect, RoleId
from brokers import services
from brokers.core.access.reasons import AccessAction
from brokers.services.suggesting import UNUSED_DAYS, Denied, RuleUse, Suggestions
from console.views.access_words import why
from console.views.frame import Visit, screen, show
from devices.core.values import DeviceId, DeviceSubject
from devices.queries import subjects_among
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId

DAYS = (7, 30, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseRow:
    """A rule for people: how it was used, and what is suggested about it or why nothing can be."""

    use: RuleUse
    suggestion: Suggestion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedRow:
    """A denied attempt for people; `explorer` asks why, empty where the topic does not stand for one alone."""

    denied: Denied
    device: str
    why: str
    explorer: str


@require_safe
@screen("policy:read")
def show_suggestions(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The suggestions for the domain's roles."""
    days = _days(request.GET.get("days", ""))
    found = services.suggest_changes(domains=[visit.domain.id], days=days, now=visit.now)
    context = {**_context(found, visit), "days": days, "choices": DAYS}
    return show(request, "suggestions.html", context)


@require_safe
@screen("policy:read")
def show_role_use(request: HttpRequest, visit: Visit, role: UUID) -> HttpResponseBase:
    """A part of a role's page: how its rules were used, and what is suggested."""
    seen = roles.get_role(id=RoleId(role), domains=visit.caller.domain_ids)
    found = services.suggest_changes(domains=[seen.domain], role=seen.id, now=visit.now)
    context = {**_context(found, visit), "days": UNUSED_DAYS}
    context["may_draft"] = visit.domain.id == seen.domain and context["may_draft"]
    return show(request, "parts/role_use.html", context)


@require_POST
@screen("policy:write")
def draft(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Makes a draft of the suggestions that were chosen, and shows it."""
    try:
        made = services.draft_suggestions(
            domain=visit.domain.id,
            suggestions=request.POST.getlist("suggestion"),
            days=_days(request.POST.get("days", "")),
            actor=visit.actor,
            now=visit.now,
        )
    except (Conflict, Invalid) as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("suggestions"))
    messages.success(request, "The draft is made. See what it does before anything changes.")
    return HttpResponseRedirect(reverse("change", args=[made.id]))


def _days(text: str) -> int:
    return int(text) if text in {str(known) for known in DAYS} else UNUSED_DAYS


def _context(found: Suggestions, visit: Visit) -> dict[str, object]:
    suggested = {each.rule.id: each for each in found.suggested}
    return {
        "rows": [UseRow(use=use, suggestion=suggested.get(use.rule.id)) for use in found.uses],
        "suggested": found.suggested,
        "denied": _denied_rows(found.denied, visit.now),
        "may_draft": visit.may("policy:write"),
    }


def _denied_rows(denied: Sequence[Denied], now: datetime) -> list[DeniedRow]:
    """Those of devices that are there still."""
    by_domain: dict[DomainId, set[DeviceId]] = {}
    for each in denied:
        by_domain.setdefault(each.domain, set()).add(each.device)
    known = {
        subject.device.id: subject for some in by_domain.values() for subject in subjects_among(devices=some, now=now)
    }
    return [
        DeniedRow(
            denied=each,
            device=known[each.device].device.name,
            why=why(each.reason),
            explorer=_explorer(each, known[each.device]),
        )
        for each in denied
        if each.device in known
    ]


def _explorer(denied: Denied, subject: DeviceSubject) -> str:
    topic = substitute(parse(denied.topic), subject.principal, Effect.ALLOW).filter
    wild = topic is None or (denied.action is AccessAction.PUBLISH and not {"+", "#"}.isdisjoint(topic.split("/")))
    if wild:
        return ""
    asked = {"device": subject.device.name, "action": denied.action.value, "topic": topic}
    return f"{reverse('explorer')}?{urlencode(asked)}"
