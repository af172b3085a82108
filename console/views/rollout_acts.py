"""What is done to a rollout: pause it, resume it, bring the next wave at once, roll it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console.views.change import sent_version
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.rollouts import seen_rollout
from devices.core.rollouts import UNDER_WAY, Rollout
from devices.services import rollouts as services
from kernel.core.errors import Conflict

_AT_ONCE = {"pause": services.pause_rollout, "resume": services.resume_rollout}
_CONFIRMED = {"advance": services.advance_rollout, "roll-back": services.roll_back_rollout}


class ConfirmForm(ConsoleForm):
    """Why, and for what can not be undone, of which change."""

    number = forms.CharField(
        label="Type the number of the change to confirm",
        max_length=9,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )
    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")

    def __init__(self, *args: Any, rollout: Rollout, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rollout = rollout

    def clean_number(self) -> str:
        """It has to be that of the change."""
        if self.cleaned_data["number"].strip() != str(self.rollout.number):
            raise forms.ValidationError(f"This is not {self.rollout.number}: nothing was done.")
        return str(self.rollout.number)


@require_POST
@screen("policy:read")
def act_on_rollout(request: HttpRequest, visit: Visit, rollout: UUID, act: str) -> HttpResponseBase:
    """Pauses or resumes it, as the operator saw it."""
    found = seen_rollout(visit, rollout)
    visit.check_may("policy:apply", found.domain)
    try:
        _AT_ONCE[act](rollout=found.id, expected_version=sent_version(request), actor=visit.actor, now=visit.now)
    except Conflict as error:
        messages.error(request, error.detail)
    return HttpResponseRedirect(reverse("rollout", args=[found.id]))


@require_http_methods(["GET", "HEAD", "POST"])
@screen("policy:read")
def confirm_act(request: HttpRequest, visit: Visit, rollout: UUID, act: str) -> HttpResponseBase:
    """Says what would happen, and does it once that is confirmed."""
    found = seen_rollout(visit, rollout)
    visit.check_may("policy:apply", found.domain)
    form = ConfirmForm(request.POST or None, rollout=found)
    if act == "advance":
        del form.fields["number"]
    if request.method == "POST" and form.is_valid():
        try:
            _CONFIRMED[act](
                rollout=found.id,
                expected_version=sent_version(request),
                note=form.cleaned_data["note"],
                actor=visit.actor,
                now=visit.now,
            )
            return HttpResponseRedirect(reverse("rollout", args=[found.id]))
        except Conflict as error:
            form.add_fault(error)
    context = {
        "rollout": found,
        "form": form,
        "back": act == "roll-back",
        "offered": found.state in UNDER_WAY,
        "version": request.POST.get("version") or found.version,
    }
    return show(request, "rollout_act.html", context)
