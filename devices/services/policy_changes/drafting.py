"""Writing drafts: a whole policy document beside the one it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from devices.core.policy_changes import OPEN, ChangeState, PolicyChange, PolicyChangeId
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, differences
from devices.core.policy_kept import from_kept, to_kept
from devices.core.values import PrincipalKind
from devices.models import Device, DeviceType, Domain
from devices.models import PolicyChange as PolicyChangeRow
from devices.queries.domains import UnknownDomain
from devices.queries.policy import policy_document
from devices.services.groups import group_kind
from devices.services.policy_changes.rows import locked_change, record_change, save_change, write_document
from devices.services.policy_gate import lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Invalid
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import require_storable

MOST_TITLE = 200
_SHOWN = 100


class BadTitle(Invalid):
    """A change needs a title."""

    code = "bad-title"


class UnknownBindingTarget(Invalid):
    """The document gives a role to what is not there."""

    code = "binding-target-unknown"


def draft_change(
    *, domain: DomainId, title: str, document: PolicyDocument | None = None, actor: Actor, now: datetime
) -> PolicyChange:
    """The new draft, made from the policy in force; without a document it is that policy still, to be written on.

    Raises BadTitle, InvalidPolicy, OtherDomain, UnknownBindingTarget.
    """
    with transaction.atomic():
        lock_policy(domain)
        base = policy_document(domain=domain)
        row = new_row(domain, title=title, base=base, now=now)
        write_document(row, document or base, actor=actor)
        check_targets(domain, before=base, after=document or base)
        row.save(force_insert=True)
        record_change("devices.policy_change.drafted", row, actor=actor, now=now)
    return row.as_value()


def rewrite_change(
    *,
    change: PolicyChangeId,
    title: str | None = None,
    document: PolicyDocument | None = None,
    expected_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> PolicyChange:
    """The change with that title and document; what is None stays. Whoever approved it has to approve it again.

    Who writes of the document is one of its authors; a title alone makes nobody an author.

    Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState, BadTitle, InvalidPolicy, OtherDomain,
    UnknownBindingTarget.
    """
    with transaction.atomic():
        row, _ = locked_change(change, expected_version=expected_version, among=OPEN)
        row.title = row.title if title is None else _checked_title(title)
        row.approvals, row.state = [], ChangeState.DRAFT
        if document is not None:
            write_document(row, document, actor=actor)
            check_targets(DomainId(row.domain_id), before=from_kept(row.base), after=document)
        save_change(row, now=now)
        record_change("devices.policy_change.rewritten", row, actor=actor, now=now)
    return row.as_value()


def new_row(domain: DomainId, *, title: str, base: PolicyDocument, now: datetime) -> PolicyChangeRow:
    """A row, not saved, with the domain's next number. The caller holds the domain's policy. Raises BadTitle."""
    owner = Domain.objects.filter(id=domain).first()
    if owner is None:
        raise UnknownDomain("There is no such domain.")
    last = PolicyChangeRow.objects.filter(domain_id=domain).aggregate(last=Max("number"))["last"]
    return PolicyChangeRow(
        id=new_id(),
        domain=owner,
        number=(last or 0) + 1,
        title=_checked_title(title),
        base=to_kept(base),
        authors=[],
        created_at=now,
        changed_at=now,
    )


def _checked_title(title: str) -> str:
    require_storable(title)
    found = " ".join(title.split())
    if not 1 <= len(found) <= MOST_TITLE:
        detail = f"Give the change a title of 1 to {MOST_TITLE} characters: what it is for."
        raise BadTitle(detail, errors=(FieldError(pointer="/title", code=BadTitle.code, detail=detail),))
    return found


def check_targets(domain: DomainId, *, before: PolicyDocument, after: PolicyDocument) -> None:
    """Nothing, if each new binding has a target; groups that are not there are made.

    Raises UnknownBindingTarget; GroupKind where a group that is there would become one of the other kind.
    """
    difference = differences(before, after)
    if turned := next((group for group in difference.groups_changed if group.turns), None):
        raise group_kind(turned.before)
    added = difference.bindings_added
    there = {
        **{via: _there(domain, added, via) for via in (BindingVia.DEVICE, BindingVia.APPLICATION)},
        BindingVia.DEVICE_TYPE: set(DeviceType.objects.filter(domain_id=domain).values_list("name", flat=True)),
    }
    faults = [
        FieldError(
            pointer=f"/bindings/{after.bindings.index(binding)}",
            code=UnknownBindingTarget.code,
            detail=f"{binding.role} is given to the {binding.via.value} {binding.target[:64]}, which is not there.",
        )
        for binding in added
        if binding.via in there and binding.target not in there[binding.via]
    ]
    if faults:
        raise UnknownBindingTarget(faults[0].detail, errors=tuple(faults[:_SHOWN]))


def _there(domain: DomainId, bindings: Iterable[BindingSpec], via: BindingVia) -> set[str]:
    """The names among those that devices, or applications, of the domain have."""
    wanted = {binding.target for binding in bindings if binding.via is via}
    rows = Device.objects.of_kind(PrincipalKind(via)).filter(domain_id=domain, name__in=wanted)
    return set(rows.values_list("name", flat=True))
