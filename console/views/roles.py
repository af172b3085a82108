"""Roles: rules as a table that can be read, to whom each is given, and the form that writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from acl import queries, services
from acl.core.own_rules import holder_of
from acl.core.rules import RuleSpec
from acl.core.values import Role, RoleId, Rule
from console.views.frame import Visit, screen, show
from console.views.paging import place_of
from console.views.permissions import actions_of, conditions_of
from console.views.role_forms import BindForm, RoleForm, RuleForms, WindowForm, in_zone, tell_faults
from devices.core.values import BindingId
from devices.queries import (
    BindingRow,
    UnknownBinding,
    count_bindings,
    find_principal_by_name,
    get_binding,
    list_bindings,
    list_device_types,
    list_groups,
)
from devices.services import bind_role, change_binding, unbind_role
from devices.services.bindings import BindingTarget
from devices.services.policy_gate import ApprovalRequired
from kernel.core.errors import Conflict, Invalid, NotFound
from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """A rule for people."""

    effect: str
    actions: str
    topic: str
    conditions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRow:
    """A role in the list; `given` says how often it is bound."""

    role: Role
    given: int


def rule_rows(rules: Sequence[Rule | RuleSpec]) -> list[RuleRow]:
    """The rules for people."""
    return [
        RuleRow(effect=rule.effect.value, actions=actions_of(rule), topic=rule.topic, conditions=conditions_of(rule))
        for rule in rules
    ]


@require_safe
@screen("roles:read")
def list_roles(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain's roles, a page of them."""
    place, domains = place_of(request), [visit.domain.id]
    after = place.name_key()
    found = queries.list_roles(
        domains=domains,
        with_own=False,
        after=(after[0], RoleId(after[1])) if after else None,
        limit=place.size + 1,
    )
    roles = found[: place.size]
    given = count_bindings(domains=domains, roles=[role.id for role in roles])
    next_key = [roles[-1].name, str(roles[-1].id)] if len(found) > place.size else None
    count = queries.count_roles(domains=domains)
    context = {
        "rows": [RoleRow(role=role, given=given.get(role.id, 0)) for role in roles],
        "pager": place.pager(shown=len(roles), next_key=next_key, noun="roles", about=count),
        "may_write": visit.may("roles:write"),
        "may_export": visit.may("policy:read"),
    }
    return show(request, "roles.html", context)


@require_safe
@screen("roles:read")
def show_role(request: HttpRequest, visit: Visit, role: UUID) -> HttpResponseBase:
    """One role; the page of the device, if it is that device's own rules."""
    found = _seen(visit, role)
    if holder := holder_of(found.name):
        device = find_principal_by_name(domain=found.domain, name=holder)
        if device is not None:
            return HttpResponseRedirect(reverse("device", args=[device.id]))
    return _page(request, visit, found, BindForm(zone=visit.operator.time_zone, **_targets(found.domain)))


def _seen(visit: Visit, role: UUID) -> Role:
    return queries.get_role(id=RoleId(role), domains=visit.caller.domain_ids)


def _targets(domain: DomainId) -> dict[str, list[str]]:
    return {
        "groups": [group.name for group in list_groups(domains=[domain])],
        "device_types": [name for _, _, name, _ in list_device_types(domains=[domain])],
    }


def _page(request: HttpRequest, visit: Visit, role: Role, form: BindForm) -> HttpResponseBase:
    bindings: list[BindingRow] = list_bindings(domains=[role.domain], role=role.id)
    context = {
        "role": role,
        "rules": rule_rows(role.rules),
        "bindings": bindings,
        "form": form,
        "may_write": visit.may("roles:write", role.domain),
        "may_bind": visit.may("bindings:write", role.domain),
        "may_draft": visit.may("policy:write", role.domain),
        "may_explain": visit.may("policy:read", role.domain),
    }
    return show(request, "role.html", context)


@require_POST
@screen("roles:read")
def bind(request: HttpRequest, visit: Visit, role: UUID) -> HttpResponseBase:
    """Gives the role to something."""
    found = _seen(visit, role)
    visit.check_may("bindings:write", found.domain)
    form = BindForm(request.POST, zone=visit.operator.time_zone, **_targets(found.domain))
    if form.is_valid():
        try:
            target = _target(form, domain=found.domain, slug=visit.caller.slug_of(found.domain))
            bind_role(
                domain=found.domain,
                role=found.id,
                target=target,
                window=form.window(),
                actor=visit.actor,
                now=visit.now,
            )
        except (Invalid, Conflict, NotFound, ApprovalRequired) as error:
            form.add_fault(error)
        else:
            messages.success(request, f"{found.name} is bound {form.window()}; the brokers are being told.")
            return HttpResponseRedirect(reverse("role", args=[found.id]))
    return _page(request, visit, found, form)


def _target(form: BindForm, *, domain: DomainId, slug: str) -> BindingTarget:
    via, name = form.cleaned_data["via"], form.cleaned_data["target"].strip()
    if via == "domain":
        return BindingTarget(domain=slug)
    if via == "group":
        return BindingTarget(group=name)
    if via == "device_type":
        return BindingTarget(device_type=name)
    found = find_principal_by_name(domain=domain, name=name)
    if found is None or found.kind != via:
        raise NotFound(f"There is no {via} called {name!r} in this domain.")
    return BindingTarget.principal(found.kind, found.id)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("roles:read")
def change_window(request: HttpRequest, visit: Visit, role: UUID, binding: UUID) -> HttpResponseBase:
    """Gives the role to the same for another time."""
    found = _seen(visit, role)
    visit.check_may("bindings:write", found.domain)
    row = get_binding(binding=BindingId(binding), domains=[found.domain])
    if row.role != found.id:
        raise UnknownBinding("That binding is one of another role: look for it on the page of that role.")
    zone = visit.operator.time_zone
    form = WindowForm(request.POST or None, zone=zone, initial={**in_zone(row.window, zone), "version": row.version})
    if request.method == "POST" and form.is_valid():
        try:
            change_binding(
                binding=row.id,
                window=form.window(),
                expected_version=form.cleaned_data["version"] or 0,
                actor=visit.actor,
                now=visit.now,
            )
        except (Invalid, Conflict, ApprovalRequired) as error:
            form.add_fault(error)
        else:
            messages.success(request, "The window is changed; the brokers are being told.")
            return HttpResponseRedirect(reverse("role", args=[found.id]))
    return show(request, "binding_window.html", {"form": form, "role": found, "binding": row})


@require_POST
@screen("roles:read")
def unbind(request: HttpRequest, visit: Visit, role: UUID, binding: UUID) -> HttpResponseBase:
    """Takes the role away from something."""
    found = _seen(visit, role)
    visit.check_may("bindings:write", found.domain)
    known = {row.id for row in list_bindings(domains=[found.domain], role=found.id)}
    if binding not in known:
        messages.warning(request, "That binding is gone already.")
    else:
        try:
            unbind_role(binding=BindingId(binding), actor=visit.actor, now=visit.now)
        except ApprovalRequired as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, "Unbound; the brokers are being told.")
    return HttpResponseRedirect(reverse("role", args=[found.id]))


@require_http_methods(["GET", "HEAD", "POST"])
@screen("roles:write")
def new_role(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Writes a new role."""
    form, rules = RoleForm(request.POST or None), RuleForms(request.POST or None)
    if request.method == "POST" and "more" not in request.POST and form.is_valid() and rules.is_valid():
        try:
            made = services.create_role(
                domain=visit.domain.id,
                name=form.cleaned_data["name"],
                description=form.cleaned_data["description"],
                rules=rules.specs(),
                actor=visit.actor,
                now=visit.now,
            )
        except (Invalid, Conflict, ApprovalRequired) as error:
            tell_faults(error, form, rules)
        else:
            messages.success(request, f"The role {made.name} is made. Bind it, and it takes effect.")
            return HttpResponseRedirect(reverse("role", args=[made.id]))
    return show(request, "role_form.html", {"form": form, "rules": rules, "role": None})


@require_http_methods(["GET", "HEAD", "POST"])
@screen("roles:write")
def edit_role(request: HttpRequest, visit: Visit, role: UUID) -> HttpResponseBase:
    """Changes a role; the brokers follow."""
    found = _seen(visit, role)
    first = {"name": found.name, "description": found.description, "version": found.version}
    form = RoleForm(request.POST or None, initial=first)
    rules = RuleForms(request.POST or None, rules=found.rules)
    if request.method == "POST" and "more" not in request.POST and form.is_valid() and rules.is_valid():
        try:
            services.change_role(
                role=found.id,
                name=form.cleaned_data["name"],
                description=form.cleaned_data["description"],
                rules=rules.specs(),
                expected_version=form.cleaned_data["version"],
                actor=visit.actor,
                now=visit.now,
            )
        except (Invalid, Conflict, ApprovalRequired) as error:
            tell_faults(error, form, rules)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is changed; the brokers are being told.")
            return HttpResponseRedirect(reverse("role", args=[found.id]))
    return show(request, "role_form.html", {"form": form, "rules": rules, "role": found})


@require_POST
@screen("roles:write")
def delete_role(request: HttpRequest, visit: Visit, role: UUID) -> HttpResponseBase:
    """Deletes a role that nothing is bound to."""
    found = _seen(visit, role)
    try:
        services.delete_role(role=found.id, actor=visit.actor, now=visit.now)
    except (Conflict, ApprovalRequired) as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("role", args=[found.id]))
    messages.success(request, f"The role {found.name} is deleted.")
    return HttpResponseRedirect(reverse("roles"))
