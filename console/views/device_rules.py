"""The rules that one device has alone: the form that writes them, or makes a draft of them."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.views.device import seen_device
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
from kernel.core.ids import DomainId


class DeviceRulesForm(ConsoleForm):
    """What the rules were when they were read."""

    digest = forms.CharField(required=False, widget=forms.HiddenInput)


def may_write_rules(visit: Visit, domain: DomainId) -> bool:
    """Whether the operator may give rules to a device of the domain: at once where nobody has to approve them."""
    may = visit.may("roles:write", domain) and visit.may("bindings:write", domain)
    return may and approval_rule_of(domain=domain) is ApprovalRule.NONE


@require_http_methods(["GET", "HEAD", "POST"])
@screen("roles:read")
def edit_device_rules(request: HttpRequest, visit: Visit, device: UUID) -> HttpResponseBase:
    """The device's own rules: saved, the brokers follow; or made a draft for others to approve."""
    found = seen_device(visit, device)
    may_write, may_draft = may_write_rules(visit, found.domain), visit.may("policy:write", found.domain)
    if not may_draft:
        visit.check_may("roles:write", found.domain)
        visit.check_may("bindings:write", found.domain)
    known = device_rules(domain=found.domain, name=found.name)
    form = DeviceRulesForm(request.POST or None, initial={"digest": known.digest})
    rules = RuleForms(request.POST or None, rules=known.rules, device=found.id)
    if request.method == "POST" and "more" not in request.POST and form.is_valid() and rules.is_valid():
        try:
            where = _drafted(visit, found, rules) if "draft" in request.POST else _saved(visit, found, form, rules)
        except (Invalid, Conflict, ApprovalRequired) as error:
            tell_faults(error, form, rules)
        else:
            messages.success(request, where[0])
            return HttpResponseRedirect(where[1])
    context = {"device": found, "form": form, "rules": rules, "may_write": may_write, "may_draft": may_draft}
    return show(request, "device_rules.html", context)


def _drafted(visit: Visit, device: Device, rules: RuleForms) -> tuple[str, str]:
    visit.check_may("policy:write", device.domain)
    change = draft_device_rules(device=device.id, rules=rules.specs(), actor=visit.actor, now=visit.now)
    return f"Change {change.number} is a draft of them.", reverse("change", args=[change.id])


def _saved(visit: Visit, device: Device, form: DeviceRulesForm, rules: RuleForms) -> tuple[str, str]:
    visit.check_may("roles:write", device.domain)
    visit.check_may("bindings:write", device.domain)
    set_device_rules(
        device=device.id,
        rules=rules.specs(),
        expected_digest=form.cleaned_data["digest"],
        actor=visit.actor,
        now=visit.now,
    )
    return f"The rules of {device.name} are changed; the brokers are being told.", reverse("device", args=[device.id])
