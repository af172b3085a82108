"""The rules that one device has alone: the form that writes them, or makes a draft of them."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.views.device import may_save_rules, seen_device
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.role_forms import RuleForms, tell_faults
from devices.core.policy_changes import ApprovalRule
from devices.core.values import Device
from devices.queries.device_rules import device_rules
from devices.queries.policy_changes import approval_rule_of
from devices.services.device_rules import draft_device_rules, set_device_rules
from devices.services.policy_gate import ApprovalRequired
from kernel.core.errors import Conflict, Invalid


class DeviceRulesForm(ConsoleForm):
    """What the rules were when they were read."""

    digest = forms.CharField(required=False, widget=forms.HiddenInput)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("roles:read")
def edit_device_rules(request: HttpRequest, visit: Visit, device: UUID) -> HttpResponseBase:
    """The device's own rules: saved, the brokers follow; or made a draft for others to approve."""
    found = seen_device(visit, device)
    may_draft = visit.may("policy:write", found.domain)
    if not may_draft:
        _check_may_save(visit, found)
    is_free = approval_rule_of(domain=found.domain) is ApprovalRule.NONE
    known = device_rules(domain=found.domain, name=found.name)
    form = DeviceRulesForm(request.POST or None, initial={"digest": known.digest})
    rules = RuleForms(request.POST or None, rules=known.rules, device=found.id)
    if request.method == "POST" and "more" not in request.POST and form.is_valid() and rules.is_valid():
        try:
            drafts = "draft" in request.POST
            words, address = _drafted(visit, found, rules) if drafts else _saved(visit, found, form, rules)
        except (Invalid, Conflict, ApprovalRequired) as error:
            tell_faults(error, form, rules)
        else:
            messages.success(request, words)
            return HttpResponseRedirect(address)
    may_save = is_free and may_save_rules(visit, found.domain)
    context = {"device": found, "form": form, "rules": rules, "may_save": may_save, "may_draft": may_draft}
    return show(request, "device_rules.html", context)


def _drafted(visit: Visit, device: Device, rules: RuleForms) -> tuple[str, str]:
    visit.check_may("policy:write", device.domain)
    change = draft_device_rules(device=device.id, rules=rules.specs(), actor=visit.actor, now=visit.now)
    return f"Change {change.number} is a draft of them.", reverse("change", args=[change.id])


def _saved(visit: Visit, device: Device, form: DeviceRulesForm, rules: RuleForms) -> tuple[str, str]:
    _check_may_save(visit, device)
    set_device_rules(
        device=device.id,
        rules=rules.specs(),
        expected_digest=form.cleaned_data["digest"],
        actor=visit.actor,
        now=visit.now,
    )
    return f"The rules of {device.name} are changed; the brokers are being told.", reverse("device", args=[device.id])


def _check_may_save(visit: Visit, device: Device) -> None:
    """Raises NotYours: what gives rules to one device writes a role and binds it."""
    visit.check_may("roles:write", device.domain)
    visit.check_may("bindings:write", device.domain)
