"""Writing on a draft: its roles with their rules and bindings, and its quarantine role."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from acl.core.own_rules import holder_of
from console.views.change import seen_change, sent_version
from console.views.frame import Visit, screen, show
from console.views.role_forms import BindForm, RoleForm, RuleForms, tell_faults
from devices.core.policy_changes import OPEN, PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.policy_editing import (
    role_of,
    with_binding,
    with_quarantine_role,
    with_role,
    without_binding,
    without_role,
)
from devices.core.windows import check_window
from devices.queries import list_device_types
from devices.services.policy_changes import rewrite_change
from devices.services.policy_changes.rows import WrongChangeState
from kernel.core.errors import Conflict, FieldError, Invalid


def _draft(visit: Visit, change: UUID) -> PolicyChange:
    found = seen_change(visit, change)
    visit.check_may("policy:write", found.domain)
    if found.state not in OPEN:
        raise WrongChangeState(f"Change {found.number} is {found.state.value}: make a new draft to go on.")
    return found


def _write(request: HttpRequest, visit: Visit, change: PolicyChange, document: PolicyDocument) -> PolicyChange:
    return rewrite_change(
        change=change.id, document=document, expected_version=sent_version(request), actor=visit.actor, now=visit.now
    )


@require_safe
@screen("policy:read")
def list_draft_roles(request: HttpRequest, visit: Visit, change: UUID) -> HttpResponseBase:
    """Every role of the draft, to choose one to write on."""
    found = _draft(visit, change)
    base = {role.name: role for role in found.base.roles}
    given = Counter(binding.role for binding in found.document.bindings)
    rows = [
        {
            "role": role,
            "given": given[role.name],
            "changed": base.get(role.name) != role,
        }
        for role in found.document.roles
    ]
    return show(request, "change_roles.html", {"change": found, "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@screen("policy:read")
def new_draft_role(request: HttpRequest, visit: Visit, change: UUID) -> HttpResponseBase:
    """A role that the draft makes."""
    found = _draft(visit, change)
    return _edit(request, visit, found, None)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("policy:read")
def edit_draft_role(request: HttpRequest, visit: Visit, change: UUID, role: str) -> HttpResponseBase:
    """A role of the draft: its rules, and to whom it is given."""
    found = _draft(visit, change)
    return _edit(request, visit, found, role_of(found.document, role))


def _edit(request: HttpRequest, visit: Visit, change: PolicyChange, role: RoleSpec | None) -> HttpResponseBase:
    first = {"name": role.name, "description": role.description} if role else {}
    form = RoleForm(request.POST or None, initial={**first, "version": change.version})
    rules = RuleForms(request.POST or None, rules=role.rules if role else ())
    if request.method == "POST" and "more" not in request.POST and form.is_valid() and rules.is_valid():
        wanted = RoleSpec(
            name=form.cleaned_data["name"],
            description=form.cleaned_data["description"],
            rules=tuple(rules.specs()),
        )
        try:
            document = with_role(change.document, wanted, was=role.name if role else None)
            _write(request, visit, change, document)
        except (Invalid, Conflict) as error:
            tell_faults(type(error)(error.detail, errors=_of_role(error.errors)), form, rules)
        else:
            messages.success(request, f"{wanted.name} is in the draft.")
            return HttpResponseRedirect(reverse("change", args=[change.id]))
    context = {
        "change": change,
        "role": role,
        "form": form,
        "rules": rules,
        "bindings": [each for each in change.document.bindings if role and each.role == role.name],
        "bind_form": BindForm(zone=visit.operator.time_zone, **_targets(change)),
        "is_own": role is not None and holder_of(role.name) is not None,
        "quarantines": role is not None and change.document.quarantine_role == role.name,
    }
    return show(request, "change_role.html", context)


def _of_role(faults: tuple[FieldError, ...]) -> tuple[FieldError, ...]:
    """Faults of the document as faults of the one role that was written: the others were sound before."""
    found = []
    for fault in faults:
        words = fault.pointer.split("/")
        inner = "/" + "/".join(words[3:]) if words[1:2] == ["roles"] and len(words) > 3 else fault.pointer
        found.append(FieldError(pointer=inner, code=fault.code, detail=fault.detail))
    return tuple(found)


def _targets(change: PolicyChange) -> dict[str, list[str]]:
    return {
        "groups": [group.name for group in change.document.groups],
        "device_types": [name for _, _, name, _ in list_device_types(domains=[change.domain])],
    }


@require_POST
@screen("policy:read")
def remove_draft_role(request: HttpRequest, visit: Visit, change: UUID, role: str) -> HttpResponseBase:
    """Takes the role and its bindings out of the draft."""
    found = _draft(visit, change)
    return _written(request, visit, found, without_role(found.document, role), f"{role} is out of the draft.")


@require_POST
@screen("policy:read")
def bind_in_draft(request: HttpRequest, visit: Visit, change: UUID, role: str) -> HttpResponseBase:
    """Gives the role to something, in the draft."""
    found = _draft(visit, change)
    form = BindForm(request.POST, zone=visit.operator.time_zone, **_targets(found))
    if not form.is_valid():
        messages.error(request, "Type the name of what gets the role, and moments such as 2027-03-01 12:00.")
        return HttpResponseRedirect(reverse("change-role", args=[found.id, role]))
    via = BindingVia(form.cleaned_data["via"])
    target = found.domain_slug if via is BindingVia.DOMAIN else form.cleaned_data["target"].strip()
    window = form.window()
    try:
        check_window(window, now=visit.now)
    except Invalid as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("change-role", args=[found.id, role]))
    document = with_binding(found.document, BindingSpec(role=role, via=via, target=target, window=window))
    return _written(request, visit, found, document, f"{role} is bound in the draft {window}.", role=role)


@require_POST
@screen("policy:read")
def unbind_in_draft(request: HttpRequest, visit: Visit, change: UUID, role: str) -> HttpResponseBase:
    """Takes the role away from something, in the draft."""
    found = _draft(visit, change)
    via = request.POST.get("via", "")
    if via not in set(BindingVia):
        raise Invalid("Say what the role is taken away from.")
    binding = BindingSpec(role=role, via=BindingVia(via), target=request.POST.get("target", ""))
    return _written(request, visit, found, without_binding(found.document, binding), "Unbound in the draft.", role=role)


@require_POST
@screen("policy:read")
def quarantine_in_draft(request: HttpRequest, visit: Visit, change: UUID, role: str) -> HttpResponseBase:
    """Makes the role the only one of quarantined devices, or takes that from it, in the draft."""
    found = _draft(visit, change)
    wanted = role if request.POST.get("chosen") else None
    words = f"Quarantined devices would have {role} alone." if wanted else "Quarantined devices would have no role."
    return _written(request, visit, found, with_quarantine_role(found.document, wanted), words, role=role)


def _written(
    request: HttpRequest, visit: Visit, change: PolicyChange, document: PolicyDocument, words: str, *, role: str = ""
) -> HttpResponseBase:
    try:
        _write(request, visit, change, document)
    except (Invalid, Conflict) as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, words)
    where = reverse("change-role", args=[change.id, role]) if role else reverse("change", args=[change.id])
    return HttpResponseRedirect(where)
