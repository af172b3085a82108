"""The rows of changes: locked in one order (domain, change, what it names, journal), saved with one entry each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from devices.core.policy_changes import ApprovalRule, ChangeState, Person, PolicyChangeId
from devices.core.policy_document import PolicyDocument
from devices.core.policy_json import policy_from_json, policy_json
from devices.core.policy_kept import to_kept
from devices.models import PolicyChange
from devices.queries.policy_changes import missing_change
from devices.services.policy_gate import lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError, Invalid, Superseded
from kernel.core.ids import DomainId
from kernel.core.journal import Entry, Subject, require_storable
from kernel.services import record


class ChangeMoved(Superseded):
    """Somebody did something to the change since it was read."""

    code = "version-mismatch"


class WrongChangeState(Conflict):
    """What is asked for can not be done to a change in this state."""

    code = "policy-change-state"


class OtherDomain(Invalid):
    """The document is of another domain."""

    code = "other-domain"


def locked_change(
    change: PolicyChangeId, *, expected_version: int | None, among: Collection[ChangeState]
) -> tuple[PolicyChange, ApprovalRule]:
    """The row, and whose eyes its domain asks for; both stay as they are until the transaction ends.

    Raises PolicyChangeNotFound, ChangeMoved, and WrongChangeState unless the change is in one of those states.
    """
    domain = PolicyChange.objects.filter(id=change).values_list("domain_id", flat=True).first()
    if domain is None:
        raise missing_change()
    rule = lock_policy(DomainId(domain))
    row = PolicyChange.objects.select_for_update(of=("self",), no_key=True).select_related("domain").get(id=change)
    if expected_version is not None and row.version != expected_version:
        raise ChangeMoved(f"Change {row.number} is at version {row.version} by now: look at it again, then repeat.")
    if row.state not in among:
        wanted = " or ".join(sorted(among))
        raise WrongChangeState(f"Change {row.number} is {row.state}, and this needs one that is {wanted}.")
    return row, rule


def save_change(row: PolicyChange, *, now: datetime) -> None:
    """Nothing; the row is saved as its next version."""
    row.version += 1
    row.changed_at = now
    row.save(force_update=True)


def end_change(row: PolicyChange, state: ChangeState, *, note: str, actor: Actor, now: datetime) -> None:
    """Nothing; the row is saved in its last state, or its last but one. Raises Unstorable."""
    require_storable(note)
    row.state, row.note = state, note
    row.ended_at, row.ended_by = now, kept_person(Person.of(actor))
    save_change(row, now=now)


def write_document(row: PolicyChange, document: PolicyDocument, *, actor: Actor) -> None:
    """Nothing; the row, not saved, holds the document, `actor` is one of its authors, and nobody approves it yet.

    Raises InvalidPolicy, OtherDomain.
    """
    check_document(document, slug=row.domain.slug)
    row.document = to_kept(document)
    row.approvals, row.state = [], ChangeState.DRAFT
    author = kept_person(Person.of(actor))
    if (author["kind"], author["id"]) not in {(known["kind"], known["id"]) for known in row.authors}:
        row.authors = [*row.authors, author]


def check_document(document: PolicyDocument, *, slug: str) -> None:
    """Nothing, if it is a sound policy of that domain. Raises InvalidPolicy, OtherDomain, Unstorable."""
    if document.domain != slug:
        detail = f"This is a policy of {document.domain[:63]!r}: a draft in {slug} needs one of {slug}."
        raise OtherDomain(detail, errors=(FieldError(pointer="/domain", code=OtherDomain.code, detail=detail),))
    policy_from_json(policy_json(document))
    require_storable(to_kept(document))


def kept_person(person: Person) -> dict[str, str]:
    """The person as a row keeps it."""
    return {"kind": person.kind.value, "id": person.id, "label": person.label}


def record_change(
    action: str,
    row: PolicyChange,
    *,
    actor: Actor,
    now: datetime,
    note: str = "",
    more: Mapping[str, Any] | None = None,
) -> Entry:
    """The entry. `document` in it is SHA-256 over the document as canonical JSON, so that an approval says of what."""
    text = json.dumps(row.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    told = {
        "number": row.number,
        "title": row.title,
        "state": str(row.state),
        "version": row.version,
        "document": hashlib.sha256(text.encode()).hexdigest(),
    }
    return record(
        action=action,
        subject=Subject(kind="devices.policy_change", id=str(row.id), label=f"Change {row.number}: {row.title}"),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after={**told, **(more or {})},
        note=note,
    )
