"""Who gets into a new domain."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from console.core.roles import ConsoleRole
from console.models import Application, Membership, Operator
from console.services.operators import grant_role
from kernel.core.actor import SYSTEM, Actor, ActorKind
from kernel.core.ids import DomainId


def adopt_domain(*, domain: DomainId, creator: Actor, now: datetime) -> str:
    """One sentence on who was let in: the operator as owner, or the application. Harmless when repeated."""
    if creator.kind == ActorKind.OPERATOR:
        operator = Operator.objects.filter(pk=creator.id).first()
        if operator is None or Membership.objects.filter(operator=operator, domain_id=domain).exists():
            return "nobody was let in anew"
        grant_role(operator=operator, domain=domain, role=ConsoleRole.OWNER, actor=SYSTEM, now=now)
        return f"{operator.username} is its owner"
    if creator.kind == ActorKind.APPLICATION:
        return _let_application_in(domain, client_id=creator.id)
    return "nobody was let in anew"


def _let_application_in(domain: DomainId, *, client_id: str) -> str:
    with transaction.atomic():
        application = Application.objects.select_for_update().filter(client_id=client_id, every_domain=False).first()
        if application is None or str(domain) in application.domain_ids:
            return "nobody was let in anew"
        application.domain_ids = [*application.domain_ids, str(domain)]
        application.save(update_fields=["domain_ids"])
    return f"{application.name} may enter it"
