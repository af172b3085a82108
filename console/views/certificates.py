"""Certificates: the list, what stands in each with the RFC's names, and its revocation."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.views.certificate_fields import fields_of
from console.views.device_acts import REASONS
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.links import holder_address, holder_label
from console.views.operations import find_panel
from console.views.paging import place_of
from devices.queries import find_device_by_name
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import EntryId
from pki import queries, services
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, ReasonCode

_FILTERS = ("q", "state", "issuer", "profile")
_HEX = re.compile(r"[0-9a-fA-F]{2,40}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@require_safe
@screen("certificates:read")
def list_certificates(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain's certificates, the newest first; `q` is a serial number, a fingerprint, or a device's name."""
    place = place_of(request, *_FILTERS)
    narrowed, fault = _narrowed(visit, place.filters["q"])
    state = place.filters["state"] if place.filters["state"] in set(CertificateState) else ""
    found = (
        []
        if fault
        else queries.list_certificates(
            domains=[visit.domain.id],
            state=state,
            issuer=place.filters["issuer"],
            profile=place.filters["profile"],
            before=place.uuid_key(),
            limit=place.size + 1,
            **narrowed,
        )
    )
    shown = found[: place.size]
    more = [str(shown[-1].id)] if len(found) > place.size else None
    context = {
        "certificates": shown,
        "pager": place.pager(shown=len(shown), next_key=more, noun="certificates"),
        "filters": place.filters,
        "narrowed": any(place.filters.values()),
        "fault": fault,
        "states": tuple(CertificateState),
        "issuers": [issuer.slug for issuer in queries.list_issuers(domains=[visit.domain.id])],
    }
    return show(request, "certificates.html", context)


def _narrowed(visit: Visit, text: str) -> tuple[dict[str, str], str]:
    """What a search narrows the list to, or why it can not."""
    if not text:
        return {}, ""
    plain = text.replace(":", "").lower()
    if _FINGERPRINT.fullmatch(plain):
        found = queries.find_certificate_by_fingerprint(sha256_hex=plain)
        return ({"serial": found.serial_hex}, "") if found else ({}, "No certificate has this fingerprint.")
    device = find_device_by_name(domain=visit.domain.id, name=text)
    if device is not None:
        return {"holder": f"device:{device.id}"}, ""
    if _HEX.fullmatch(plain):
        return {"serial": plain}, ""
    return (
        {},
        "Search by the beginning of a serial number (hex), a SHA-256 fingerprint, or a device's whole name.",
    )


@require_safe
@screen("certificates:read")
def show_certificate(request: HttpRequest, visit: Visit, certificate: UUID) -> HttpResponseBase:
    """One certificate with everything that stands in it."""
    found = seen_certificate(visit, certificate)
    context = {
        "certificate": found,
        "panel": find_panel(visit, request.GET.get("operation", "")),
        "holder": holder_label(found.holder),
        "holder_address": holder_address(found.holder),
        "fields": fields_of(found.pem) if found.pem else None,
        "may_revoke": visit.may("certificates:revoke", found.domain),
    }
    return show(request, "certificate.html", context)


def seen_certificate(visit: Visit, certificate: UUID) -> IssuedCertificate:
    """The certificate, in a domain of the visit. Raises NotFound."""
    found = queries.get_certificate(id=CertificateId(certificate))
    visit.check_sees(found.domain, what="certificate")
    return found


@require_safe
@screen("certificates:read")
def download_certificate(request: HttpRequest, visit: Visit, certificate: UUID) -> HttpResponse:
    """The certificate and its chain, as PEM."""
    del request
    found = seen_certificate(visit, certificate)
    headers = {"Content-Disposition": f'attachment; filename="{found.serial_hex}.pem"'}
    return HttpResponse(found.pem + found.chain_pem, content_type="application/x-pem-file", headers=headers)


class RevokeForm(ConsoleForm):
    """Why a certificate is revoked."""

    reason = forms.ChoiceField(
        label="Reason",
        choices=[(reason.value, words) for reason, words in REASONS],
        help_text="It stands in the CRL and in OCSP answers.",
    )
    confirm = forms.CharField(
        label="Type the last 8 digits of the serial number to confirm",
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "form-control mono"}),
    )
    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")

    def __init__(self, *args: Any, serial: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ending = serial[-8:]

    def clean_confirm(self) -> str:
        """They have to be this certificate's."""
        if self.cleaned_data["confirm"].strip().lower() != self.ending:
            raise forms.ValidationError(f"This is not {self.ending}: nothing was done.")
        return self.ending


@require_http_methods(["GET", "HEAD", "POST"])
@screen("certificates:read")
def revoke_certificate(request: HttpRequest, visit: Visit, certificate: UUID) -> HttpResponseBase:
    """Revokes for good, once it is confirmed."""
    found = seen_certificate(visit, certificate)
    visit.check_may("certificates:revoke", found.domain)
    form = RevokeForm(request.POST or None, serial=found.serial_hex)
    if request.method == "POST" and form.is_valid():
        try:
            revoked = services.revoke_certificate(
                certificate=found.id,
                reason=ReasonCode(form.cleaned_data["reason"]),
                note=form.cleaned_data["note"],
                actor=visit.actor,
                now=visit.now,
            )
        except (Conflict, Invalid) as error:
            form.add_fault(error)
        else:
            return _to_operation(found, revoked.operation)
    return show(request, "certificate_revoke.html", {"certificate": found, "form": form})


@require_POST
@screen("certificates:read")
def change_hold(request: HttpRequest, visit: Visit, certificate: UUID, act: str) -> HttpResponseBase:
    """Puts on hold, or releases."""
    found = seen_certificate(visit, certificate)
    visit.check_may("certificates:revoke", found.domain)
    try:
        if act == "hold":
            operation = services.hold_certificate(certificate=found.id, actor=visit.actor, now=visit.now).operation
        else:
            operation = services.release_certificate(certificate=found.id, actor=visit.actor, now=visit.now)
    except Conflict as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("certificate", args=[found.id]))
    return _to_operation(found, operation)


def _to_operation(certificate: IssuedCertificate, operation: EntryId) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('certificate', args=[certificate.id])}?operation={operation}")
