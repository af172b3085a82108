"""What is done to a change as a whole: approve, reject, withdraw, rebase, apply, roll back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console.views.change import seen_change, sent_version
from console.views.frame import Visit, screen
from devices.core.policy_changes import PolicyChange
from devices.core.policy_merge import Decisions, Side
from devices.services import policy_changes as services
from devices.services.policy_changes.approving import ApprovalDenied
from kernel.core.errors import Conflict

_MOST_NOTE = 2_000

Act = Callable[[HttpRequest, Visit, PolicyChange, int], str]


@require_POST
@screen("policy:read")
def act_on_change(request: HttpRequest, visit: Visit, change: UUID, act: str) -> HttpResponseBase:
    """Does it to the version that the operator saw, and shows what came of it."""
    found = seen_change(visit, change)
    scope, do = _ACTS[act]
    visit.check_may(scope, found.domain)
    try:
        address = do(request, visit, found, sent_version(request))
    except (Conflict, ApprovalDenied) as error:
        messages.error(request, error.detail)
        address = _page(found)
    return HttpResponseRedirect(address)


def _page(change: PolicyChange) -> str:
    return reverse("change", args=[change.id])


def _approve(request: HttpRequest, visit: Visit, change: PolicyChange, version: int) -> str:
    approved = services.approve_change(change=change.id, expected_version=version, actor=visit.actor, now=visit.now)
    words = "It is approved: apply it." if approved.state == "approved" else "Your approval is kept; it needs another."
    messages.success(request, words)
    return _page(change)


def _reject(request: HttpRequest, visit: Visit, change: PolicyChange, version: int) -> str:
    note = request.POST.get("note", "").strip()[:_MOST_NOTE]
    services.reject_change(change=change.id, note=note, expected_version=version, actor=visit.actor, now=visit.now)
    messages.success(request, "It is rejected.")
    return _page(change)


def _withdraw(request: HttpRequest, visit: Visit, change: PolicyChange, version: int) -> str:
    services.withdraw_change(change=change.id, expected_version=version, actor=visit.actor, now=visit.now)
    messages.success(request, "It is withdrawn.")
    return _page(change)


def _rebase(request: HttpRequest, visit: Visit, change: PolicyChange, version: int) -> str:
    chosen = {name: value for name, value in request.POST.items() if value in set(Side)}
    roles = {name.removeprefix("role:"): Side(value) for name, value in chosen.items() if name.startswith("role:")}
    groups = {name.removeprefix("group:"): Side(value) for name, value in chosen.items() if name.startswith("group:")}
    quarantine = Side(chosen["quarantine"]) if "quarantine" in chosen else None
    decisions = Decisions(roles=roles, quarantine_role=quarantine, groups=groups)
    services.rebase_change(
        change=change.id, decisions=decisions, expected_version=version, actor=visit.actor, now=visit.now
    )
    messages.success(request, "It is made from the policy in force now. Look at it again: it has to be approved.")
    return _page(change)


def _apply(_request: HttpRequest, visit: Visit, change: PolicyChange, version: int) -> str:
    applied = services.apply_change(change=change.id, expected_version=version, actor=visit.actor, now=visit.now)
    return f"{_page(change)}?operation={applied.operation}"


def _roll_back(request: HttpRequest, visit: Visit, change: PolicyChange, version: int) -> str:
    back = services.roll_back_change(change=change.id, expected_version=version, actor=visit.actor, now=visit.now)
    messages.success(request, "This draft takes the change back. Look at what it does, then approve and apply it.")
    return _page(back)


_ACTS: dict[str, tuple[str, Act]] = {
    "approve": ("policy:approve", _approve),
    "reject": ("policy:approve", _reject),
    "withdraw": ("policy:write", _withdraw),
    "rebase": ("policy:write", _rebase),
    "apply": ("policy:apply", _apply),
    "roll-back": ("policy:write", _roll_back),
}
