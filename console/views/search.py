"""The jump box: a few letters, and where they lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from acl.queries import list_roles
from brokers.queries import list_brokers
from console.views.frame import Visit, screen, show
from devices.core.values import PrincipalKind
from devices.queries import DeviceFilter, list_devices
from pki.queries import find_certificate_by_fingerprint, list_certificates, list_issuers

_EACH = 6
_HEX = re.compile(r"[0-9a-f]{4,40}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One place to jump to."""

    label: str
    what: str
    icon: str
    address: str


def find(visit: Visit, text: str) -> list[Found]:
    """What of the domain begins so: devices, applications, certificates, roles, brokers, issuers; a few of each."""
    if not text:
        return []
    return [*_devices(visit, text), *_applications(visit, text), *_certificates(visit, text), *_named(visit, text)]


def _devices(visit: Visit, text: str) -> Iterator[Found]:
    page = list_devices(domains=[visit.domain.id], narrowed=DeviceFilter(name=text), limit=_EACH)
    for device in page.devices:
        address = reverse("device", args=[device.id])
        yield Found(label=device.name, what=f"device, {device.state.value}", icon="device", address=address)


def _applications(visit: Visit, text: str) -> Iterator[Found]:
    if not visit.may("broker-applications:read"):
        return
    page = list_devices(
        domains=[visit.domain.id],
        kind=PrincipalKind.APPLICATION,
        narrowed=DeviceFilter(name=text),
        limit=_EACH,
    )
    for each in page.devices:
        what, address = f"application, {each.state.value}", reverse("application", args=[each.id])
        yield Found(label=each.name, what=what, icon="application", address=address)


def _certificates(visit: Visit, text: str) -> Iterator[Found]:
    plain = text.replace(":", "").replace(" ", "").lower()
    if not visit.may("certificates:read"):
        return
    found = []
    if _FINGERPRINT.fullmatch(plain):
        exact = find_certificate_by_fingerprint(sha256_hex=plain)
        found = [exact] if exact and exact.domain == visit.domain.id else []
    elif _HEX.fullmatch(plain):
        found = list_certificates(domains=[visit.domain.id], serial=plain, limit=_EACH)
    for certificate in found:
        yield Found(
            label=certificate.serial_hex,
            what=f"certificate, {certificate.subject}",
            icon="certificate",
            address=reverse("certificate", args=[certificate.id]),
        )


def _named(visit: Visit, text: str) -> Iterator[Found]:
    """Roles, brokers and issuers are few: the letters may stand anywhere in their names."""
    small, domains = text.lower(), [visit.domain.id]
    places = []
    if visit.may("roles:read"):
        known = list_roles(domains=domains, with_own=False)
        places += [(role.name, "role", reverse("role", args=[role.id])) for role in known]
    if visit.may("brokers:read"):
        brokers = list_brokers(domains=domains)
        places += [(broker.name, "broker", reverse("broker", args=[broker.name])) for broker in brokers]
    if visit.may("issuers:read"):
        issuers = list_issuers(domains=domains)
        places += [(issuer.slug, "issuer", reverse("issuer", args=[issuer.slug])) for issuer in issuers]
    hits = [place for place in places if small in place[0].lower()]
    for label, kind, address in hits[: 2 * _EACH]:
        yield Found(label=label, what=kind, icon=kind, address=address)


def _text(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip().replace("\0", "")[:128]


@require_safe
@screen("devices:read")
def search(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """What was found, as a page; for Enter, and without scripts."""
    text = _text(request)
    return show(request, "search.html", {"text": text, "found": find(visit, text)})


@require_safe
@screen("devices:read")
def search_found(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """What was found, as the list below the box."""
    text = _text(request)
    return show(request, "parts/found.html", {"text": text, "found": find(visit, text)})
