"""Revoking many certificates: first what fits, how many and which; then, typed out, all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.views.certificate_acts import EVERY_REASON, TYPED
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from devices.queries import find_principal_by_name
from kernel.core.errors import Conflict, Invalid
from pki import queries, services
from pki.core.revocation_order import RevocationFilter, newest_in
from pki.core.values import ReasonCode


class WhichForm(ConsoleForm):
    """Which certificates: all of it has to fit."""

    issuer = forms.ChoiceField(required=False)
    profile = forms.ChoiceField(required=False)
    device = forms.CharField(
        label="Device, or another holder", max_length=64, required=False, widget=forms.TextInput(attrs=TYPED),
        help_text="A device's name, or a holder as it stands in the certificate's record.",
    )  # fmt: skip
    subject = forms.CharField(
        label="Subject begins with", max_length=200, required=False,
        widget=forms.TextInput(attrs={**TYPED, "placeholder": "CN=pump-"}),
    )  # fmt: skip
    serial = forms.RegexField(
        r"^[0-9a-fA-F:]*$", label="Serial number begins with", max_length=60, required=False,
        widget=forms.TextInput(attrs={**TYPED, "class": "form-control mono"}),
        error_messages={"invalid": "A serial number is hex, with or without colons."},
    )  # fmt: skip
    issued_from = forms.DateTimeField(label="Issued on or after (UTC)", required=False)
    issued_before = forms.DateTimeField(label="Issued before (UTC)", required=False)
    ends_from = forms.DateTimeField(label="Ends on or after (UTC)", required=False)
    ends_before = forms.DateTimeField(label="Ends before (UTC)", required=False)

    def __init__(self, *args: Any, visit: Visit, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.visit = visit
        issuers = [issuer.slug for issuer in queries.list_issuers(domains=[visit.domain.id])]
        profiles = [profile.name for profile in queries.list_profiles(domain=visit.domain.id)]
        for name, values in (("issuer", issuers), ("profile", profiles)):
            self.fields[name].choices = [("", "any"), *((value, value) for value in values)]  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.quiet = True  # type: ignore[attr-defined]  # each of them is optional
            if isinstance(field, forms.DateTimeField):
                field.widget = forms.DateTimeInput(
                    attrs={"type": "datetime-local", "class": "form-control"}, format="%Y-%m-%dT%H:%M"
                )

    def wanted(self) -> RevocationFilter:
        """The filter that the fields spell. Raises BroadRevocation."""
        given = self.cleaned_data
        return RevocationFilter(
            issuer=given["issuer"],
            profile=given["profile"],
            holder=self._holder(given["device"]),
            subject=given["subject"],
            serial=given["serial"].replace(":", "").lower(),
            issued_from=given["issued_from"],
            issued_before=given["issued_before"],
            ends_from=given["ends_from"],
            ends_before=given["ends_before"],
        )

    def _holder(self, text: str) -> str:
        principal = find_principal_by_name(domain=self.visit.domain.id, name=text) if text else None
        return principal.holder if principal else text


class ManyForm(ConsoleForm):
    """Why, and that it is meant."""

    reason = forms.ChoiceField(
        choices=[(reason.value, words) for reason, words in EVERY_REASON],
        help_text="It stands in the CRL and in OCSP answers of each.",
    )
    invalidity_date = forms.DateTimeField(
        label="Not to be believed since (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="When the keys are thought to have been lost (invalidityDate, RFC 5280 5.3.2).",
    )
    confirm = forms.CharField(max_length=40, widget=forms.TextInput(attrs=TYPED))
    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")
    digest = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, count: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words = f"revoke {count}"
        self.fields["confirm"].label = f"Type {self.words} to confirm"

    def clean_confirm(self) -> str:
        """It has to name the count."""
        if self.cleaned_data["confirm"].strip().lower() != self.words:
            raise forms.ValidationError(f"This is not “{self.words}”: nothing was done.")
        return self.words


@require_http_methods(["GET", "HEAD", "POST"])
@screen("certificates:read")
def revoke_many(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The filter; with one, how many fit and the newest of them; and, once it is typed out, the operation."""
    visit.check_may("certificates:revoke")
    which = WhichForm(request.GET or None, visit=visit)
    found, form = None, None
    if which.is_bound and which.is_valid():
        try:
            wanted = which.wanted()
        except Invalid as error:
            which.add_fault(error)
        else:
            found = _found(visit, wanted, shown=request.POST.get("digest", ""))
            form = ManyForm(request.POST or None, count=found.count, initial={"digest": found.digest})
            if request.method == "POST":
                if form.is_valid() and (answer := _revoke(visit, wanted, form)):
                    return answer
                form.data = {**request.POST.dict(), "digest": found.digest}  # of what is shown by now
    context = {"which": which, "found": found, "form": form, "asked": request.GET.urlencode()}
    return show(request, "revoke_many.html", context)


def _found(visit: Visit, wanted: RevocationFilter, *, shown: str) -> queries.MatchingCertificates:
    """Those that were shown under that digest, if they are the same still; else those that fit now."""
    look = partial(
        queries.matching_certificates, domain=visit.domain.id, wanted=wanted, with_cas=visit.may("issuers:sign")
    )
    found = look(up_to=newest_in(shown))
    return found if found.digest == shown else look()


def _revoke(visit: Visit, wanted: RevocationFilter, form: ManyForm) -> HttpResponse | None:
    given = form.cleaned_data
    since: datetime | None = given["invalidity_date"]
    try:
        ordered = services.revoke_matching(
            domain=visit.domain.id,
            wanted=wanted,
            digest=given["digest"],
            reason=ReasonCode(given["reason"]),
            invalidity_date=since.astimezone(UTC) if since else None,
            actor=visit.actor,
            now=visit.now,
            note=given["note"],
            with_cas=visit.may("issuers:sign"),
        )
    except (Invalid, Conflict) as error:
        form.add_fault(error)
        return None
    return HttpResponseRedirect(reverse("operation", args=[ordered.operation]))
