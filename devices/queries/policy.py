"""The policy of a domain as one document."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from acl import queries as roles
from acl.core.rules import RuleSpec
from acl.core.values import Role, RoleId
from devices.core.names import name_fault
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.core.values import BindingId, PrincipalKind
from devices.models import Device, Group
from devices.queries.bindings import list_bindings
from devices.queries.domains import get_domain
from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyNow:
    """The policy in force, with what its names stand for."""

    document: PolicyDocument
    roles: Mapping[str, Role]
    bindings: Mapping[BindingSpec, BindingId]


def policy_document(*, domain: DomainId) -> PolicyDocument:
    """The policy of the domain as it is now. Raises UnknownDomain."""
    return policy_now(domain=domain).document


def policy_now(*, domain: DomainId) -> PolicyNow:
    """The same, with its roles by name (and so their ids and versions) and the ids of its bindings."""
    found = get_domain(id=domain)
    known = {role.id: role for role in roles.list_roles(domains=[domain])}
    bindings = {
        BindingSpec(role=known[row.role].name, via=BindingVia(row.via), target=row.target, window=row.window): row.id
        for row in list_bindings(domains=[domain])
    }
    quarantine = known[RoleId(found.quarantine_role)].name if found.quarantine_role else None
    document = PolicyDocument.of(
        domain=found.slug,
        quarantine_role=quarantine,
        roles=map(role_spec, known.values()),
        bindings=bindings,
        groups=[GroupSpec(name=group.name, query=group.query) for group in Group.objects.filter(domain_id=domain)],
    )
    return PolicyNow(document=document, roles={role.name: role for role in known.values()}, bindings=bindings)


def role_spec(role: Role) -> RoleSpec:
    """The role without its id and version."""
    return RoleSpec(name=role.name, description=role.description, rules=tuple(RuleSpec.of(rule) for rule in role.rules))


def device_names_by(
    *, domain: DomainId, auth_ids: Collection[str], client_ids: Collection[str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The names of those devices and applications of the domain that there are: by auth id, and by client id."""
    rows = Device.objects.filter(domain_id=domain)
    by_auth: dict[str, str] = {}
    by_client: dict[str, str] = {}
    for some in _chunks(auth_ids):
        by_auth.update(rows.filter(auth_id__in=some).values_list("auth_id", "name"))
    for some in _chunks(client_ids):
        by_client.update(rows.filter(client_id__in=some).values_list("client_id", "name"))
    return by_auth, by_client


def application_names(*, domain: DomainId) -> frozenset[str]:
    """The names of the domain's applications."""
    rows = Device.objects.of_kind(PrincipalKind.APPLICATION).filter(domain_id=domain).order_by()
    return frozenset(rows.values_list("name", flat=True))


def _chunks(ids: Collection[str], size: int = 500) -> Iterator[list[str]]:
    """Some at a time, without those that no device can have."""
    left = iter(sorted(id for id in ids if name_fault(id) is None))
    while chunk := list(islice(left, size)):
        yield chunk
