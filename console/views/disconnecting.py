"""Ending the sessions of a device or application at one broker: a question first, then its page with the operation."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_http_methods

from brokers import queries, services
from brokers.core.values import Broker, Session
from console.views.device import right_to, seen_principal
from console.views.device_acts import to_operation
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.links import principal_address
from devices.core.values import Device, DeviceId, PrincipalKind
from devices.queries import applications_among
from kernel.core.errors import Conflict
from kernel.core.ids import EntryId


class NoteForm(ConsoleForm):
    """Why it is done."""

    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")


def endable(visit: Visit, broker: Broker, sessions: Sequence[Session]) -> frozenset[DeviceId]:
    """The devices and applications among them whose sessions there the operator may end."""
    if broker.managed_since is None or not queries.capabilities_of(broker=broker.id).closes_sessions:
        return frozenset()
    ids = frozenset(session.device for session in sessions if session.device)
    applications = applications_among(ids=ids)
    kinds = {PrincipalKind.DEVICE: ids - applications, PrincipalKind.APPLICATION: applications}
    allowed = (found for kind, found in kinds.items() if visit.may(right_to("suspend", kind), broker.domain))
    return frozenset().union(*allowed)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def end_sessions(request: HttpRequest, visit: Visit, name: str, device: UUID) -> HttpResponseBase:
    """Says what comes of it; sent, the sessions are ended, and the page of the device shows how far that is."""
    broker = queries.get_broker(name=name, domains=visit.caller.domain_ids)
    found = seen_principal(visit, device)
    visit.check_may(right_to("suspend", found.kind), found.domain)
    form = NoteForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return to_operation(found, _order(visit, broker, found, note=form.cleaned_data["note"]))
        except Conflict as error:
            form.add_fault(error)
    context = {
        "broker": broker,
        "device": found,
        "form": form,
        "able": queries.capabilities_of(broker=broker.id).closes_sessions,
        "address": principal_address(found),
    }
    return show(request, "disconnect.html", context)


def _order(visit: Visit, broker: Broker, device: Device, *, note: str) -> EntryId:
    return services.order_disconnect(broker=broker.id, device=device.id, actor=visit.actor, now=visit.now, note=note)
