"""Taking a policy document in: what it would change, and a draft of that change or the change itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from devices.core.policy_changes import PolicyChange
from devices.core.policy_document import PolicyDifference, PolicyDocument, differences
from devices.core.policy_yaml import digest
from devices.queries.domains import get_domain
from devices.queries.policy import policy_document
from devices.services.policy_changes.applying import AppliedChange, apply_change
from devices.services.policy_changes.approving import approve_change
from devices.services.policy_changes.drafting import check_targets, draft_change
from devices.services.policy_changes.rows import check_document
from devices.services.policy_gate import lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Superseded
from kernel.core.ids import DomainId


class PolicyMoved(Superseded):
    """The policy was changed since the document was exported."""

    code = "version-mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyImport:
    """What an import changes, and what was made of it: nothing in a dry run, and nothing if nothing differs."""

    difference: PolicyDifference
    change: PolicyChange | None = None
    applied: AppliedChange | None = None


def plan_import(*, domain: DomainId, document: PolicyDocument, expected_digest: str | None = None) -> PolicyImport:
    """What importing the document would change; nothing is.

    `expected_digest` is that of the policy in force as the caller knows it (policy_yaml.digest). Raises UnknownDomain,
    InvalidPolicy, OtherDomain, UnknownBindingTarget, PolicyMoved.
    """
    check_document(document, slug=get_domain(id=domain).slug)
    present = policy_document(domain=domain)
    if expected_digest is not None and expected_digest != digest(present):
        raise PolicyMoved("The policy was changed since it was exported: export it again, then repeat.")
    check_targets(domain, before=present, after=document)
    return PolicyImport(difference=differences(present, document))


def import_policy(
    *,
    domain: DomainId,
    document: PolicyDocument,
    title: str,
    apply: bool = False,
    expected_digest: str | None = None,
    actor: Actor,
    now: datetime,
) -> PolicyImport:
    """The draft that the document is now; with `apply` it is approved by the actor and in force.

    Raises what `plan_import`, `draft_change` and, with `apply`, `approve_change` and `apply_change` raise; then nothing
    is changed and no draft is left.
    """
    with transaction.atomic():
        lock_policy(domain)
        planned = plan_import(domain=domain, document=document, expected_digest=expected_digest)
        if planned.difference.is_empty:
            return planned
        change = draft_change(domain=domain, title=title, document=document, actor=actor, now=now)
        if not apply:
            return replace(planned, change=change)
        approve_change(change=change.id, actor=actor, now=now)
        applied = apply_change(change=change.id, actor=actor, now=now)
        return replace(planned, change=applied.change, applied=applied)
