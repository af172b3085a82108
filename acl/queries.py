"""Reading roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from acl import models
from acl.core.values import Role, RoleId
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId


class RoleNotFound(NotFound):
    """There is no such role, or none that may be seen."""

    code = "role-not-found"


def get_role(*, id: RoleId, domains: Sequence[DomainId] | None = None) -> Role:
    """The role of that id, in one of `domains` if they are given. Raises RoleNotFound."""
    rows = models.Role.objects.filter(id=id).with_rules()
    if domains is not None:
        rows = rows.of_domains(domains)
    row = rows.first()
    if row is None:
        raise missing_role(id)
    return row.as_value()


def missing_role(id: RoleId) -> RoleNotFound:
    """The error that there is no role of that id."""
    return RoleNotFound(f"There is no role with the id {id}: list the roles to see those there are.")


def find_role(*, domain: DomainId, name: str) -> Role | None:
    """The role of that name in the domain, or None."""
    row = models.Role.objects.filter(domain_id=domain, name=name).with_rules().first()
    return row.as_value() if row else None


def roles_by_id(*, ids: Iterable[RoleId]) -> Mapping[RoleId, Role]:
    """Those of the roles that exist, by id, in two queries."""
    return {RoleId(row.id): row.as_value() for row in models.Role.objects.filter(id__in=set(ids)).with_rules()}


def list_roles(
    *,
    domains: Sequence[DomainId],
    name: str | None = None,
    with_own: bool = True,
    after: tuple[str, RoleId] | None = None,
    limit: int | None = None,
) -> list[Role]:
    """The roles of the domains by (name, id), of that name and beyond `after` only, at most `limit`.

    `with_own`: with those that hold the rules of one principal alone.
    """
    rows = models.Role.objects.of_domains(domains).with_rules()
    if not with_own:
        rows = rows.of_many()
    if name is not None:
        rows = rows.filter(name=name)
    if after is not None:
        rows = rows.after(name=after[0], id=after[1])
    return [row.as_value() for row in rows[:limit]]


def count_roles(*, domains: Sequence[DomainId]) -> int:
    """How many roles the domains have, without those that hold the rules of one principal alone."""
    return models.Role.objects.of_domains(domains).of_many().count()
