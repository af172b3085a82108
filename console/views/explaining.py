"""May this device do that? The verdict with the rule that decided, and every rule that was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from acl.core.own_rules import words_of
from acl.core.values import Action, Allow, Publish, Request, Subscribe
from brokers.services.explaining import explain_request
from console.views.device import seen_principal
from console.views.frame import Visit, screen, show
from devices.core.values import Device
from kernel.core.errors import Invalid

MOST_CHARACTERS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A rule that was looked at; `decides` marks the one that gave the verdict."""

    effect: str
    filter: str
    template: str
    role: str
    why: str
    decides: bool


@require_safe
@screen("policy:read")
def explain_device(request: HttpRequest, visit: Visit, device: UUID) -> HttpResponseBase:
    """The verdict, as a part of the device's page or as a page of its own."""
    found = seen_principal(visit, device)
    part = bool(request.headers.get("HX-Request"))
    asked = {"action": request.GET.get("action") or Action.PUBLISH, "topic": request.GET.get("topic", "")}
    context = {"device": found, "asked": asked, **explanation_context(found, request.GET, visit.now)}
    return show(request, "parts/explanation.html" if part else "explanation.html", context)


def explanation_context(device: Device, asked: Mapping[str, str], now: datetime) -> dict[str, object]:
    """What parts/explanation.html shows of the question `asked`: the verdict, or what is wrong with the question."""
    action, topic = asked.get("action") or Action.PUBLISH, asked.get("topic", "")
    try:
        request = _request(action, topic, qos=asked.get("qos", "0"), retain=bool(asked.get("retain")))
        answer = explain_request(device=device.id, request=request, now=now)
    except Invalid as error:
        return {"fault": error.detail}
    explanation = answer.explanation
    decided = explanation.verdict.rule
    context: dict[str, object] = {
        "allowed": isinstance(explanation.verdict, Allow),
        "summary": explanation.summary,
        "brokers": answer.brokers,
        "not_now": answer.not_now,
        "rollout": answer.rollout,
        "considered": [
            Looked(
                effect=row.rule.rule.effect.value,
                filter=row.filter or "",
                template=row.rule.rule.topic,
                role=words_of(row.rule.role_name),
                why=row.why,
                decides=row.rule is decided,
            )
            for row in sorted(explanation.considered, key=lambda row: (row.rule is not decided, not row.matches))
        ],
    }
    if not explanation.considered:
        context["summary"] = f"It is {device.state}, and no rule holds for it: it may do nothing."
    return context


def _request(action: str, topic: str, *, qos: str, retain: bool) -> Request:
    """The request that the form spells. Raises Invalid."""
    if not topic:
        raise Invalid("Type a topic to ask about.")
    if len(topic) > MOST_CHARACTERS:
        raise Invalid(f"Ask about a topic of at most {MOST_CHARACTERS} characters.")
    level = int(qos) if qos in {"0", "1", "2"} else 0
    if action == Action.SUBSCRIBE:
        return Subscribe.parse(topic, qos=level)
    if action == Action.PUBLISH:
        return Publish(topic=topic, qos=level, retain=retain)
    raise Invalid("Ask whether it may publish or subscribe.")
