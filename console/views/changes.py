"""Changes: drafts of the domain's policy and its history, how a draft begins, and whose eyes it needs."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from acl import queries as roles
from acl.core.values import RoleId
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.paging import place_of
from devices.core.policy_changes import IN_HISTORY, ApprovalRule, ChangeState, PolicyChangeId
from devices.queries import policy_changes as queries
from devices.queries.rollouts import rollouts_under_way
from devices.services import policy_changes as services
from kernel.core.errors import Invalid

HISTORY = "history"
RULES = ((ApprovalRule.NONE, "the author alone"), (ApprovalRule.OTHER_OPERATOR, "another operator (four eyes)"))


class NewChangeForm(ConsoleForm):
    """What a change is for."""

    title = forms.CharField(
        label="What is the change for?", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


@require_http_methods(["GET", "HEAD", "POST"])
@screen("policy:read")
def list_changes(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The changes of the domain's policy, newest first; a POST begins one."""
    form = NewChangeForm(request.POST or None)
    if request.method == "POST":
        visit.check_may("policy:write")
        if form.is_valid():
            made = services.draft_change(
                domain=visit.domain.id, title=form.cleaned_data["title"], actor=visit.actor, now=visit.now
            )
            return HttpResponseRedirect(reverse("change", args=[made.id]))
    place = place_of(request, "state")
    after = place.uuid_key()
    states = _states(place.filters["state"])
    found = queries.list_changes(
        domains=[visit.domain.id],
        states=states,
        after=PolicyChangeId(after) if after else None,
        limit=place.size + 1,
    )
    rows = found[: place.size]
    next_key = [str(rows[-1].id)] if len(found) > place.size else None
    count = queries.count_changes(domains=[visit.domain.id], states=states)
    context = {
        "rows": rows,
        "form": form,
        "rollouts": rollouts_under_way(domains=[visit.domain.id]),
        "pager": place.pager(shown=len(rows), next_key=next_key, noun="changes", about=count),
        "state": place.filters["state"],
        "states": list(ChangeState),
        "rule": queries.approval_rule_of(domain=visit.domain.id),
        "rules": RULES,
        "may_write": visit.may("policy:write"),
        "may_choose": visit.may("domains:write"),
    }
    return show(request, "changes.html", context)


def _states(text: str) -> list[ChangeState] | None:
    if not text:
        return None
    if text == HISTORY:
        return sorted(IN_HISTORY)
    if text not in set(ChangeState):
        raise Invalid(f"A change is one of {', '.join(ChangeState)}.")
    return [ChangeState(text)]


@require_POST
@screen("domains:write")
def choose_approval(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Whose eyes a change needs from now on."""
    wanted = request.POST.get("rule", "")
    if wanted not in set(ApprovalRule):
        raise Invalid("Choose who approves changes.")
    services.set_policy_approval(domain=visit.domain.id, rule=ApprovalRule(wanted), actor=visit.actor, now=visit.now)
    messages.success(request, f"From now on a change is approved by {dict(RULES)[ApprovalRule(wanted)]}.")
    return HttpResponseRedirect(reverse("changes"))


@require_POST
@screen("policy:write")
def draft_of_role(request: HttpRequest, visit: Visit, role: UUID) -> HttpResponseBase:
    """A new draft, opened at that role."""
    del request
    found = roles.get_role(id=RoleId(role), domains=visit.caller.domain_ids)
    made = services.draft_change(domain=found.domain, title=f"Change {found.name}", actor=visit.actor, now=visit.now)
    return HttpResponseRedirect(reverse("change-role", args=[made.id, found.name]))
