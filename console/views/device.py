"""One device or application: who it is, what proves it, what it may do and why, where it is connected, its past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from acl.core.own_rules import words_of
from acl.queries import roles_by_id
from brokers import queries as broker_queries
from brokers.core.values import AccessEvent, AccessKind
from console.views.access_words import why_it_did
from console.views.frame import Visit, screen, show
from console.views.journal import entry_row
from console.views.links import principal_address
from console.views.operations import find_panel
from console.views.permissions import permissions_of
from devices import queries
from devices.core.lifecycle import WrongState, check_transition
from devices.core.passwords import MAY_BE_GIVEN, Password
from devices.core.values import (
    Credential,
    CredentialState,
    Device,
    DeviceId,
    DeviceState,
    PrincipalKind,
)
from devices.queries import BindingRow
from kernel.core.ids import DomainId
from kernel.queries import list_entries
from pki.core.values import IssuedCertificate
from pki.queries import certificates_by_id

_TIMELINE = 30
_PASSWORDS = 8
_GOOD_NEWS = {"resumed", "enrolled", "certified", "renewed", "password_issued", "password_rotated", "password_switched"}
_AT_THE_DOOR = {
    AccessKind.CONNECTED: "Connected to",
    AccessKind.DISCONNECTED: "Disconnected from",
    AccessKind.REFUSED: "Refused by",
    AccessKind.ALLOWED: "Allowed something by",
    AccessKind.DENIED: "Denied something by",
    AccessKind.OTHER: "Told of by",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRow:
    """A credential and its certificate."""

    credential: Credential
    certificate: IssuedCertificate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the timeline. `kind` names an icon's state."""

    at: datetime
    kind: str
    what: str
    detail: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Which acts are offered: the operator may do them, and the device's state allows them."""

    suspend: bool
    resume: bool
    quarantine: bool
    end_tokens: bool
    revoke: bool
    decommission: bool

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.suspend or self.resume or self.quarantine or self.revoke or self.decommission


@require_safe
@screen("devices:read")
def show_device(request: HttpRequest, visit: Visit, device: UUID) -> HttpResponseBase:
    """The device; whoever asks for an application is sent to its own page."""
    found = seen_principal(visit, device)
    if found.kind is PrincipalKind.APPLICATION:
        return HttpResponseRedirect(principal_address(found))
    return show(request, "device.html", principal_context(request, visit, found))


def principal_context(request: HttpRequest, visit: Visit, found: Device) -> dict[str, Any]:
    """What the page of a device or an application shows."""
    subject = queries.subject_of(device=found.id, now=visit.now)
    events = broker_queries.events_of(device=found.id, limit=_TIMELINE)
    is_device = found.kind is PrincipalKind.DEVICE
    return {
        "device": found,
        "is_application": not is_device,
        "acts": acts_of(visit, found),
        "panel": find_panel(visit, request.GET.get("operation", "")),
        "credentials": _credentials(found.id),
        "passwords": _passwords(found.id, visit.now),
        "may_give": found.state in MAY_BE_GIVEN
        and visit.may(right_over_passwords(found.kind, gives=True), found.domain),
        "may_take": visit.may(right_over_passwords(found.kind, gives=False), found.domain),
        "permissions": permissions_of(subject),
        "timed": _timed(found),
        "may_rules": is_device and (visit.may("policy:write", found.domain) or may_save_rules(visit, found.domain)),
        "sessions": broker_queries.sessions_of(device=found.id),
        "refusals": [event for event in events if event.kind in {AccessKind.REFUSED, AccessKind.DENIED}][:8],
        "timeline": _timeline(visit, found, events),
        "kit": queries.connection_kit_of(device=found.id, now=visit.now),
        "kit_address": _kit_address(found),
        "journal": f"{reverse('journal')}?kind=devices.{found.kind}&subject={found.id}",
    }


def _kit_address(found: Device) -> str:
    name = "device" if found.kind is PrincipalKind.DEVICE else "broker-application"
    return reverse(f"{name}-connection-kit", args=[found.id])


def seen_device(visit: Visit, device: UUID) -> Device:
    """The device, in a domain of the visit. Raises UnknownDevice."""
    return queries.get_device(device=DeviceId(device), domains=visit.caller.domain_ids)


def seen_principal(visit: Visit, id: UUID) -> Device:
    """The device or application, in a domain of the visit. Raises UnknownDevice, NotYours."""
    found = queries.get_principal(id=DeviceId(id), domains=visit.caller.domain_ids)
    if found.kind is PrincipalKind.APPLICATION:
        visit.check_may("broker-applications:read", found.domain)
    return found


def right_to(act: str, kind: PrincipalKind) -> str:
    """The scope that a change of state, or ending tokens, takes: an application is let in by who may make one."""
    if kind is PrincipalKind.DEVICE:
        return "devices:write"
    return "broker-applications:write" if act == "resume" else "certificates:revoke"


def right_over_passwords(kind: PrincipalKind, *, gives: bool) -> str:
    """The scope that giving a password takes, or taking one away: an application is let in so, or thrown out."""
    if kind is PrincipalKind.DEVICE:
        return "credentials:write"
    return "broker-applications:write" if gives else "certificates:revoke"


def may_save_rules(visit: Visit, domain: DomainId) -> bool:
    """Whether the operator may give rules to one device of the domain: that writes a role and binds it."""
    return visit.may("roles:write", domain) and visit.may("bindings:write", domain)


def acts_of(visit: Visit, device: Device) -> Acts:
    """What the operator can do to the device or application now."""
    writes = visit.may(right_to("suspend", device.kind), device.domain)
    revokes = visit.may("certificates:revoke", device.domain)
    state = device.state
    return Acts(
        suspend=writes and _follows(state, DeviceState.SUSPENDED),
        resume=visit.may(right_to("resume", device.kind), device.domain)
        and state in {DeviceState.SUSPENDED, DeviceState.QUARANTINED},
        quarantine=writes and _follows(state, DeviceState.QUARANTINED),
        end_tokens=writes and state in {DeviceState.ACTIVE, DeviceState.QUARANTINED},
        revoke=revokes and _follows(state, DeviceState.REVOKED),
        decommission=writes and revokes and _follows(state, DeviceState.DECOMMISSIONED),
    )


def _follows(before: DeviceState, after: DeviceState) -> bool:
    try:
        check_transition(before=before, after=after)
    except WrongState:
        return False
    return True


def _credentials(device: DeviceId) -> list[CredentialRow]:
    found = queries.credentials_of(device=device)
    certificates = certificates_by_id(ids=[credential.certificate for credential in found])
    return [
        CredentialRow(credential=credential, certificate=certificates.get(credential.certificate))
        for credential in found
    ]


def _passwords(device: DeviceId, now: datetime) -> list[tuple[Password, CredentialState]]:
    """The newest of the device's passwords, each with its state."""
    return [(each, each.state_at(now)) for each in queries.passwords_of(device=device)[:_PASSWORDS]]


def _timed(device: Device) -> list[tuple[str, BindingRow]]:
    """What is given to the device for a time, each with its role."""
    rows = queries.timed_bindings(device=device.id)
    found = roles_by_id(ids=[row.role for row in rows])
    return [(words_of(found[row.role].name), row) for row in rows if row.role in found]


def _timeline(visit: Visit, device: Device, events: Sequence[AccessEvent]) -> list[Happening]:
    lines = [
        Happening(
            at=event.at,
            kind=event.kind.value,
            what=f"{_AT_THE_DOOR[event.kind]} {event.broker_name}",
            detail=" · ".join(filter(None, (event.topic[:80], event.address, why_it_did(event)))),
            address="",
        )
        for event in events
    ]
    if visit.may("journal:read", device.domain):
        found = list_entries(
            domain=device.domain, subject_kind=f"devices.{device.kind}", subject_id=str(device.id), limit=_TIMELINE
        )
        for row in map(entry_row, found):
            note = f"“{row.note}”" if row.note else ""
            state = row.action.rpartition(".")[2]
            lines.append(
                Happening(
                    at=row.at,
                    kind="active" if state in _GOOD_NEWS else state,
                    what=row.what,
                    detail=" · ".join(filter(None, (f"by {row.who}", note))),
                    address=reverse("operation", args=[row.id]),
                )
            )
    return sorted(lines, key=lambda line: line.at, reverse=True)[:_TIMELINE]
