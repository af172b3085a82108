"""What is done to a device: each ends on its page, where the answer of every broker shows as it comes."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_http_methods, require_POST

from console.views.device import acts_of, right_to, seen_principal
from console.views.forms import TypedNameForm
from console.views.frame import Visit, screen, show
from console.views.links import principal_address
from devices import services
from devices.core.values import Device, DeviceId, PrincipalKind
from devices.queries import credentials_of
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import EntryId
from pki.core.values import ReasonCode

REASONS = (
    (ReasonCode.UNSPECIFIED, "Not said"),
    (ReasonCode.KEY_COMPROMISE, "The key may be known to others (keyCompromise)"),
    (ReasonCode.SUPERSEDED, "Replaced by another (superseded)"),
    (ReasonCode.CESSATION_OF_OPERATION, "Out of service (cessationOfOperation)"),
    (ReasonCode.AFFILIATION_CHANGED, "Changed hands (affiliationChanged)"),
    (ReasonCode.PRIVILEGE_WITHDRAWN, "No longer entitled (privilegeWithdrawn)"),
)


class _Act(Protocol):
    def __call__(self, *, device: DeviceId, actor: Actor, now: Any, note: str = "") -> EntryId: ...


_REVERSIBLE: dict[str, _Act] = {
    "suspend": services.suspend_device,
    "resume": services.resume_device,
    "quarantine": services.quarantine_device,
    "end-tokens": services.end_tokens,
}


@require_POST
@screen("devices:read")
def change_state(request: HttpRequest, visit: Visit, device: UUID, act: str) -> HttpResponseBase:
    """Suspends, resumes, quarantines, or ends the access tokens; the page then shows the operation."""
    found = seen_principal(visit, device)
    visit.check_may(right_to(act, found.kind), found.domain)
    note = request.POST.get("note", "").strip()[:500]
    try:
        operation = _REVERSIBLE[act](device=found.id, actor=visit.actor, now=visit.now, note=note)
    except Conflict as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(principal_address(found))
    return to_operation(found, operation)


def to_operation(device: Device, operation: EntryId) -> HttpResponse:
    """To the device's page with the operation's panel."""
    return HttpResponseRedirect(f"{principal_address(device)}?operation={operation}")


class EndForm(TypedNameForm):
    """What has to be typed before a device is thrown out for good."""

    reason = forms.ChoiceField(
        label="Reason",
        choices=[(reason.value, words) for reason, words in REASONS],
        help_text="It stands in the CRL and in OCSP answers.",
    )
    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")


@require_http_methods(["GET", "HEAD", "POST"])
@screen("devices:read")
def end_device(request: HttpRequest, visit: Visit, device: UUID, act: str) -> HttpResponseBase:
    """Revokes or decommissions, once the name is typed."""
    found = seen_principal(visit, device)
    visit.check_may("certificates:revoke", found.domain)
    revokes = act == "revoke"
    if not revokes and found.kind is PrincipalKind.DEVICE:
        visit.check_may("devices:write", found.domain)
    form = EndForm(request.POST or None, expected=found.name)
    if not revokes:
        del form.fields["reason"]
    if request.method == "POST" and form.is_valid():
        try:
            return to_operation(found, _end(visit, found, form))
        except Conflict as error:
            form.add_fault(error)
    context = {
        "device": found,
        "form": form,
        "revokes": revokes,
        "offered": acts_of(visit, found).revoke if revokes else acts_of(visit, found).decommission,
        "credentials": len(credentials_of(device=found.id)),
    }
    context["address"] = principal_address(found)
    return show(request, "device_end.html", context)


def _end(visit: Visit, device: Device, form: EndForm) -> EntryId:
    note = form.cleaned_data["note"]
    if "reason" not in form.fields:
        return services.decommission_device(device=device.id, actor=visit.actor, now=visit.now, note=note)
    reason = ReasonCode(form.cleaned_data["reason"])
    return services.revoke_device(device=device.id, reason=reason, actor=visit.actor, now=visit.now, note=note)
