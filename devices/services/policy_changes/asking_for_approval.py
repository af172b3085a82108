"""Whether a domain asks for four eyes."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.policy_changes import ApprovalRule, Person
from devices.models import Domain
from devices.queries.domains import UnknownDomain
from devices.services.policy_gate import lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Denied
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


class OwnersOnly(Denied):
    """Only an owner who is signed in may do that."""

    code = "owners-only"


def set_policy_approval(*, domain: DomainId, rule: ApprovalRule, actor: Actor, now: datetime) -> None:
    """Changes of the domain's policy are approved like that from now on, those that wait included.

    Who calls has seen that the actor is an owner; a program or a command is refused. Raises OwnersOnly, UnknownDomain.
    """
    if not Person.of(actor).is_known:
        raise OwnersOnly("Whose eyes a change needs is for an owner of the domain who is signed in, not for a program.")
    with transaction.atomic():
        before = lock_policy(domain)
        if before is rule:
            return
        slug = Domain.objects.filter(id=domain).values_list("slug", flat=True).first()
        if slug is None:
            raise UnknownDomain("There is no such domain.")
        Domain.objects.filter(id=domain).update(policy_approval=rule)
        record(
            action="devices.domain.policy_approval_set",
            subject=Subject(kind="devices.domain", id=str(domain), label=slug),
            actor=actor,
            now=now,
            domain=domain,
            before={"policy_approval": before.value},
            after={"policy_approval": rule.value},
        )
