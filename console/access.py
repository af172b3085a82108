"""Who among operators and applications may do what: their callers."""

from __future__ import annotations

from collections.abc import Iterable

from console.core.roles import EVERY_SCOPE, ROLE_SCOPES, ConsoleRole
from console.models import Application, Membership, Operator
from devices import queries as fleet
from kernel.core.actor import Actor, ActorKind
from kernel.core.caller import Caller, DomainRef
from kernel.core.ids import DomainId


def operator_actor(operator: Operator, *, address: str = "") -> Actor:
    """The operator as the journal names it."""
    return Actor(kind=ActorKind.OPERATOR, id=str(operator.pk), label=operator.username, address=address)


def application_actor(application: Application, *, address: str = "") -> Actor:
    """The application as the journal names it."""
    return Actor(
        kind=ActorKind.APPLICATION,
        id=application.client_id,
        label=application.name or application.client_id,
        address=address,
    )


def operator_caller(operator: Operator, *, address: str = "") -> Caller:
    """What the operator may do, domain by domain: one query for the memberships, one for the domains."""
    held = {
        DomainId(domain): ROLE_SCOPES[ConsoleRole(role)]
        for domain, role in Membership.objects.filter(operator=operator).values_list("domain_id", "role")
    }
    domains = tuple(
        DomainRef(id=domain.id, slug=domain.slug, scopes=held[domain.id])
        for domain in fleet.list_domains()
        if domain.id in held
    )
    scopes = frozenset().union(*(domain.scopes or frozenset() for domain in domains))
    return Caller(actor=operator_actor(operator, address=address), domains=domains, scopes=scopes)


def application_caller(application: Application, *, scopes: Iterable[str], address: str = "") -> Caller:
    """What the application may do with a token of `scopes`: never more than it may have by now."""
    own = None if application.every_domain else set(application.domain_ids)
    domains = tuple(
        DomainRef(id=domain.id, slug=domain.slug)
        for domain in fleet.list_domains()
        if own is None or str(domain.id) in own
    )
    held = frozenset(scopes) & application.scope_set & EVERY_SCOPE
    return Caller(actor=application_actor(application, address=address), domains=domains, scopes=held)
