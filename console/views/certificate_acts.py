"""What is done to a certificate: revoked for good, put on hold, released. Each ends on its page with the operation."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console.views.certificate import scopes_to_revoke, seen_certificate
from console.views.device_acts import REASONS
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import EntryId
from pki import services
from pki.core.values import IssuedCertificate, ReasonCode

TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
EVERY_REASON = (
    *REASONS,
    (ReasonCode.CA_COMPROMISE, "The CA's key may be known to others (cACompromise)"),
    (ReasonCode.AA_COMPROMISE, "An attribute authority's key may be known to others (aACompromise)"),
)


class RevokeForm(ConsoleForm):
    """Why a certificate is revoked."""

    reason = forms.ChoiceField(
        label="Reason",
        choices=[(reason.value, words) for reason, words in EVERY_REASON],
        help_text="It stands in the CRL and in OCSP answers.",
    )
    invalidity_date = forms.DateTimeField(
        label="Not to be believed since (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="When the key is thought to have been lost (invalidityDate, RFC 5280 5.3.2). It stands in the CRL.",
    )
    confirm = forms.CharField(
        label="Type the last 8 digits of the serial number to confirm",
        max_length=40,
        widget=forms.TextInput(attrs={**TYPED, "class": "form-control mono"}),
    )
    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")

    def __init__(self, *args: Any, serial: str, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ending, self.now = serial[-8:], now

    def clean_confirm(self) -> str:
        """They have to be this certificate's."""
        if self.cleaned_data["confirm"].strip().lower() != self.ending:
            raise forms.ValidationError(f"This is not {self.ending}: nothing was done.")
        return self.ending

    def clean_invalidity_date(self) -> datetime | None:
        """It lies behind us."""
        found: datetime | None = self.cleaned_data["invalidity_date"]
        if found is not None and found > self.now:
            raise forms.ValidationError("This lies ahead: give a moment in the past, or leave it empty.")
        return found


@require_http_methods(["GET", "HEAD", "POST"])
@screen("certificates:read")
def revoke_certificate(request: HttpRequest, visit: Visit, certificate: UUID) -> HttpResponseBase:
    """Revokes for good, once it is confirmed."""
    found = _changeable(visit, certificate)
    form = RevokeForm(request.POST or None, serial=found.serial_hex, now=visit.now)
    if request.method == "POST" and form.is_valid():
        try:
            revoked = services.revoke_certificate(
                certificate=found.id,
                reason=ReasonCode(form.cleaned_data["reason"]),
                invalidity_date=form.cleaned_data["invalidity_date"],
                note=form.cleaned_data["note"],
                actor=visit.actor,
                now=visit.now,
            )
        except (Conflict, Invalid) as error:
            form.add_fault(error)
        else:
            return _to_operation(found, revoked.operation)
    return show(request, "certificate_revoke.html", {"certificate": found, "form": form, "ending": form.ending})


@require_POST
@screen("certificates:read")
def change_hold(request: HttpRequest, visit: Visit, certificate: UUID, act: str) -> HttpResponseBase:
    """Puts on hold, or releases."""
    found = _changeable(visit, certificate)
    try:
        if act == "hold":
            operation = services.hold_certificate(certificate=found.id, actor=visit.actor, now=visit.now).operation
        else:
            operation = services.release_certificate(certificate=found.id, actor=visit.actor, now=visit.now)
    except Conflict as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("certificate", args=[found.id]))
    return _to_operation(found, operation)


def _changeable(visit: Visit, certificate: UUID) -> IssuedCertificate:
    """The certificate. Raises UnknownCertificate, NotYours."""
    found = seen_certificate(visit, certificate)
    for scope in scopes_to_revoke(found):
        visit.check_may(scope, found.domain)
    return found


def _to_operation(certificate: IssuedCertificate, operation: EntryId) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('certificate', args=[certificate.id])}?operation={operation}")
