"""The findings about policy: roles and bindings are read here, and judged by `acl.core.analysis_findings`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from acl import queries as roles
from acl.core.analysis_findings import CODES, Flaw, RoleInUse, find_flaws, keeps_to_itself, spelled_out
from acl.core.outside import OutsideRules
from acl.core.own_rules import words_of
from acl.core.values import Effect, Role, RoleId, Rule
from devices.core.values import Domain
from devices.models import Binding, DeviceType
from devices.queries.domains import list_domains
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject


class PolicyFindings:
    """What needs attention about roles and their rules. No device is looked at, so the cost is that of the policy."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return CODES.items()

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """What is the matter now."""
        for flaw in find_policy_flaws(domains=domains, now=now):
            yield Finding(
                code=flaw.code,
                severity=flaw.severity,
                subject=Subject(kind="acl.role", id=str(flaw.role.id), label=words_of(flaw.role.name)),
                domain=flaw.role.domain,
                detail=flaw.detail,
                remedy=flaw.remedy,
            )


def find_policy_flaws(*, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Flaw]:
    """What is wrong with the roles of these domains, of all if None; each is compared with the rules of the others."""
    every_domain = list_domains()
    known = roles.list_roles(domains=[domain.id for domain in every_domain])
    by_domain: dict[DomainId, list[Role]] = defaultdict(list)
    for role in known:
        by_domain[role.domain].append(role)
    outside = OutsideRules()
    for domain in every_domain:
        for rule in _outward(domain, by_domain[domain.id]):
            outside.add(rule, domain=domain.slug)
    for domain in every_domain:
        if domains is not None and domain.id not in domains:
            continue
        slugs = frozenset(other.slug for other in every_domain if other.id != domain.id)
        for use in _in_use(domain, by_domain[domain.id], now):
            yield from find_flaws(use, other_domains=slugs, outside=outside)


def _outward(domain: Domain, known: Iterable[Role]) -> Iterator[Rule]:
    """The allow rules that do not keep to the topics of their domain."""
    for role in known:
        for rule in role.rules:
            if rule.effect is Effect.ALLOW and not keeps_to_itself(rule, domain.slug):
                yield replace(rule, topic=spelled_out(rule, domain.slug))


def _in_use(domain: Domain, known: Collection[Role], now: datetime) -> Iterator[RoleInUse]:
    to_come = Binding.objects.filter(domain_id=domain.id).not_ended(now=now).order_by()
    bindings = to_come.in_force(now=now)
    given = set(to_come.values_list("role_id", flat=True).distinct()) | {domain.quarantine_role}
    wide: dict[RoleId, list[tuple[bool, UUID | None]]] = defaultdict(list)
    for id, whole, kind in bindings.filter(device=None).values_list("role_id", "whole_domain", "device_type_id"):
        wide[RoleId(id)].append((whole, kind))
    single = set(bindings.filter(device__isnull=False).values_list("role_id", flat=True).distinct())
    schemas = {kind: frozenset(schema) for kind, schema in _schemas(domain).items()}
    everywhere = [role for role in known if any(whole for whole, _ in wide[role.id])]
    for role in known:
        yield RoleInUse(
            role=role,
            domain=domain.slug,
            bound=role.id in given,
            to_many=bool(wide[role.id]),
            attributes=_attributes(wide[role.id], schemas, every_type=role.id in single or not wide[role.id]),
            denied=tuple(rule for other in everywhere if other.id != role.id for rule in other.rules),
        )


def _schemas(domain: Domain) -> Mapping[UUID, Collection[str]]:
    return dict(DeviceType.objects.filter(domain_id=domain.id).values_list("id", "schema"))


def _attributes(
    wide: Iterable[tuple[bool, UUID | None]], schemas: Mapping[UUID, frozenset[str]], *, every_type: bool
) -> frozenset[str]:
    """What devices under the role may have; those of every type, unless it is bound to types alone."""
    types = [kind for _, kind in wide]
    if every_type or None in types:
        return frozenset().union(*schemas.values())
    return frozenset().union(*(schemas.get(kind, frozenset()) for kind in types if kind))
