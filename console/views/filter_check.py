"""A topic filter while it is typed: what is wrong with it, what it comes to for a device, and how it may go on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from acl.core.templates import KNOWN, parse, substitute
from acl.core.values import Effect
from acl.queries import list_roles
from console.views.device import seen_device
from console.views.frame import Visit, screen, show
from devices.core.values import Device, DeviceId, DeviceState
from devices.queries import DeviceFilter, list_device_types, list_devices, subject_of
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId

MOST_CHARACTERS = 1_024
_MOST_WAYS = 12


@require_safe
@screen("roles:read")
def check_filter(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The hint below the field that is named in the query, such as rule-0-topic, with a list to complete it from."""
    name = next((name for name in request.GET if name.endswith("-topic")), "")
    typed = request.GET.get(name, "")[:MOST_CHARACTERS]
    device = _asked_device(request, visit)
    domain = device.domain if device else visit.domain.id
    attributes = _attributes(domain)
    fault, example = "", ""
    if typed:
        try:
            parse(typed)
        except Invalid as error:
            fault = error.detail
        else:
            effect = Effect.DENY if request.GET.get(name.removesuffix("topic") + "effect") == "deny" else Effect.ALLOW
            tried_on = device.id if device else _first_device(domain)
            fault, example = _undeclared(typed, attributes), _example(typed, effect, tried_on, visit.now)
    known = (rule.topic for role in list_roles(domains=[domain], with_own=False) for rule in role.rules)
    context = {"list": f"{name}-list", "fault": fault, "example": example}
    return show(request, "parts/filter_check.html", context | {"ways": complete(typed, known, attributes)})


def complete(typed: str, known: Iterable[str], attributes: Iterable[str]) -> list[str]:
    """At most twelve ways to go on: the placeholder that is begun, or filters of the domain that begin so."""
    head, dollar, begun = typed.rpartition("${")
    if dollar and "}" not in begun:
        names = [*(name for name in KNOWN if name != "attr.NAME"), *(f"attr.{name}" for name in sorted(attributes))]
        return [f"{head}${{{name}}}" for name in names if name.startswith(begun)][:_MOST_WAYS]
    return sorted({topic for topic in known if topic.startswith(typed) and topic != typed})[:_MOST_WAYS]


def _attributes(domain: DomainId) -> frozenset[str]:
    """What any device type of the domain declares."""
    return frozenset(name for *_, schema in list_device_types(domains=[domain]) for name in schema)


def _undeclared(typed: str, attributes: frozenset[str]) -> str:
    wanted = [name.removeprefix("attr.") for name in parse(typed).placeholders if name.startswith("attr.")]
    missing = next((name for name in wanted if name not in attributes), None)
    return f"No device type of this domain declares the attribute {missing}." if missing else ""


def _asked_device(request: HttpRequest, visit: Visit) -> Device | None:
    """The device that the page is about, if it is about one."""
    asked = request.GET.get("device", "")
    try:
        return seen_device(visit, UUID(asked)) if asked else None
    except ValueError as error:
        raise Invalid("That is no device's id.") from error


def _first_device(domain: DomainId) -> DeviceId | None:
    """The first active one by name."""
    found = list_devices(domains=[domain], narrowed=DeviceFilter(state=DeviceState.ACTIVE), limit=1).devices
    return found[0].id if found else None


def _example(typed: str, effect: Effect, device: DeviceId | None, now: datetime) -> str:
    """What it is for the device."""
    if device is None:
        return ""
    subject = subject_of(device=device, now=now)
    found = substitute(parse(typed), subject.principal, effect)
    if found.filter is None:
        return f"for {subject.device.name} void, since {found.why}"
    widened = f", widened, since {found.why}" if found.why else ""
    return f"for {subject.device.name}: {found.filter}{widened}"
