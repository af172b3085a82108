"""One change: what differs, what that does to the fleet and on each broker, and who has said what about it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from brokers.core.plans import effect_rows
from brokers.services import foresee_change
from console.views.change_rows import binding_rows, conflict_rows, role_differences
from console.views.frame import Visit, screen, show
from console.views.operations import find_panel
from devices.core.policy_changes import OPEN, ChangeState, Person, PolicyChange, PolicyChangeId
from devices.core.policy_changes import approvals_missing as still_missing
from devices.core.policy_changes import may_approve as refusal_of
from devices.core.policy_document import differences
from devices.queries import policy_changes as queries
from devices.queries.rollouts import list_rollouts


def seen_change(visit: Visit, change: UUID) -> PolicyChange:
    """The change, if the operator may see it. Raises PolicyChangeNotFound."""
    return queries.get_change(change=PolicyChangeId(change), domains=visit.caller.domain_ids)


def sent_version(request: HttpRequest) -> int:
    """The version that the operator saw of a change or rollout; 0, which none has, if the form does not say."""
    sent = request.POST.get("version", "")
    return int(sent[:9]) if sent.isascii() and sent.isdigit() else 0


@require_safe
@screen("policy:read")
def show_change(request: HttpRequest, visit: Visit, change: UUID) -> HttpResponseBase:
    """The change with all that can be done to it."""
    found = seen_change(visit, change)
    rule = queries.approval_rule_of(domain=found.domain)
    standing = queries.standing_of(change=found)
    difference = differences(found.base, found.document)
    missing = still_missing(rule, authors=found.authors, approvals=found.approvals)
    refusal = refusal_of(rule, person=Person.of(visit.actor), authors=found.authors)
    context = {
        "change": found,
        "is_open": found.state in OPEN,
        "is_applied": found.state is ChangeState.APPLIED,
        "difference": difference,
        "roles": role_differences(difference),
        "bindings": binding_rows(difference),
        "standing": standing,
        "conflicts": conflict_rows(standing.merged),
        "missing": missing,
        "refusal": refusal,
        "approved_by_me": visit.actor.id in {approval.by.id for approval in found.approvals},
        "ready": found.state is ChangeState.APPROVED and not missing and not standing.base_moved,
        "rollouts": list_rollouts(domains=[found.domain], change=found.id, limit=10),
        "panel": find_panel(visit, request.GET.get("operation", "")),
        "may_write": visit.may("policy:write", found.domain),
        "may_approve": visit.may("policy:approve", found.domain),
        "may_apply": visit.may("policy:apply", found.domain),
    }
    return show(request, "change.html", context)


@require_safe
@screen("policy:read")
def show_effect(request: HttpRequest, visit: Visit, change: UUID) -> HttpResponseBase:
    """What the change does to the fleet and on each broker: a part of its page, fetched apart since it is work."""
    found = seen_change(visit, change)
    foresight = foresee_change(domain=found.domain, before=found.base, after=found.document, now=visit.now)
    brokers = [
        {
            "told": broker,
            "gain": effect_rows(broker.effect.gain),
            "lose": effect_rows(broker.effect.lose),
            "fresh": [each for each in broker.deviations if each.id in broker.fresh],
            "blocked": [each for each in broker.deviations if each.id in broker.blocked],
        }
        for broker in foresight.brokers
    ]
    context = {"foresight": foresight, "brokers": brokers, "past": found.state not in OPEN}
    return show(request, "parts/change_effect.html", context)
