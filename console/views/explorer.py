"""Questions about policy: may this device do that, who may, and who makes whom hear what. Each answer has a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from acl.core.analysis_who_can import Question, ReceiveWithin
from acl.core.own_rules import words_of
from acl.core.values import Action, BoundRule, Receive, RoleId
from acl.queries import list_roles
from brokers.core.answers import Reach
from brokers.services import reach, who_can_do
from brokers.services.asking_who_can import question_of
from console.views.explaining import MOST_CHARACTERS, explanation_context
from console.views.frame import Visit, screen, show
from console.views.reach_drawing import draw
from devices.queries import (
    DeviceSet,
    device_names,
    find_device_set,
    find_principal_by_name,
    get_domain,
    list_device_types,
    list_groups,
)
from kernel.core.errors import Invalid, NotFound

HEAR = "hear"
_KINDS = ("domain", "group", "device_type", "device", "application")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """A rule that lets devices, and through what it does. `role` is None where the role can not be shown."""

    topic: str
    actions: str
    role_name: str
    role: RoleId | None
    via: str
    target: str


@require_safe
@screen("policy:read")
def explore(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """May this device do that? With every rule that was looked at."""
    asked = {name: request.GET.get(name, "").strip() for name in ("device", "action", "topic", "qos", "retain")}
    context: dict[str, object] = {"tab": "may", "asked": asked}
    if asked["device"]:
        device = find_principal_by_name(domain=visit.domain.id, name=asked["device"][:64])
        if device is None:
            name, slug = asked["device"][:64], visit.domain.slug
            context["fault"] = f"There is no device {name} in {slug}, nor an application: look for its name."
        else:
            context |= {"device": device, **explanation_context(device, request.GET, visit.now)}
    return show(request, "explorer.html", context)


@require_safe
@screen("policy:read")
def explore_who(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Who may do that? The page at once; with `answer` a number, some of them, and the rules that let them."""
    asked = {name: request.GET.get(name, "").strip() for name in ("action", "topic", "qos", "retain")}
    context: dict[str, object] = {"tab": "who", "asked": asked}
    if asked["topic"] and "answer" in request.GET:
        context |= _who_may(visit, asked)
    elif asked["topic"]:  # to count a large fleet takes a while
        context["later"] = f"?{request.GET.urlencode()}&answer=1"
    return show(request, "explorer_who.html", context)


@require_safe
@screen("policy:read")
def explore_reach(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Which devices make which others hear them? Drawn, and as a table."""
    asked = {name: request.GET.get(name, "").strip() for name in ("from", "from_name", "to", "to_name")}
    context: dict[str, object] = {
        "tab": "reach",
        "asked": {name.replace("from", "source"): value for name, value in asked.items()},
        "groups": [group.name for group in list_groups(domains=[visit.domain.id])],
        "types": [name for _, _, name, _ in list_device_types(domains=[visit.domain.id])],
    }
    if asked["from"]:
        try:
            source = _device_set(visit, asked["from"], asked["from_name"])
            target = _device_set(visit, asked["to"] or "domain", asked["to_name"])
            found: Reach = reach(publishers=source, subscribers=target, now=visit.now)
        except (Invalid, NotFound) as error:
            context["fault"] = error.detail
        else:
            context |= {"found": found, "source": source, "target": target, "drawing": draw(found.lines)}
    return show(request, "explorer_reach.html", context)


def _who_may(visit: Visit, asked: Mapping[str, str]) -> dict[str, object]:
    try:
        found = who_can_do(domains=[visit.domain.id], question=_question(asked), now=visit.now)
    except Invalid as error:
        return {"fault": error.detail}
    names = device_names(devices=found.sample, domains=[visit.domain.id])
    sample = [(device, names[device]) for device in found.sample if device in names]
    return {"found": found, "sample": sample, "grants": _grant_rows(visit, found.grants)}


def _question(asked: Mapping[str, str]) -> Question:
    """The question that the form spells. Raises Invalid."""
    topic = asked["topic"]
    if len(topic) > MOST_CHARACTERS:
        raise Invalid(f"Ask about a topic of at most {MOST_CHARACTERS} characters.")
    if asked["action"] == HEAR:
        return ReceiveWithin(topic=topic) if "+" in topic or "#" in topic else Receive(topic=topic)
    if asked["action"] not in [*Action]:
        raise Invalid("Ask who may publish, subscribe or hear.")
    qos = int(asked["qos"]) if asked["qos"] in {"0", "1", "2"} else 0
    return question_of(action=Action(asked["action"]), topic=topic, qos=qos, retain=bool(asked["retain"]))


def _grant_rows(visit: Visit, grants: tuple[BoundRule, ...]) -> list[GrantRow]:
    shown = list_roles(domains=[visit.domain.id]) if visit.may("roles:read") else []
    ids = {role.name: role.id for role in shown}
    return [
        GrantRow(
            topic=grant.rule.topic,
            actions=", ".join(sorted(action.value for action in grant.rule.actions)),
            role_name=words_of(grant.role_name),
            role=ids.get(grant.role_name),
            via=grant.binding.via.replace("_", " ") if grant.binding else "quarantine",
            target=grant.binding.target if grant.binding else "",
        )
        for grant in grants
    ]


def _device_set(visit: Visit, via: str, name: str) -> DeviceSet:
    if via not in _KINDS:
        raise Invalid("Choose the whole domain, a group, a device type, a device or an application.")
    if via != "domain" and not name:
        raise Invalid(f"Type the name of the {via.replace('_', ' ')}.")
    return find_device_set(domain=get_domain(id=visit.domain.id), via=via, name=name[:64])
