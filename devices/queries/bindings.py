"""Who has which role."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from acl.core.values import RoleId
from devices.core.values import BindingId, GroupId
from devices.core.windows import ALWAYS, Window
from devices.models import Binding
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId


class UnknownBinding(NotFound):
    """There is no such binding."""

    code = "binding-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRow:
    """A role given to something: `via` is device, application, group, device_type or domain; `target` is its name.

    It counts only in its window.
    """

    id: BindingId
    domain: DomainId
    role: RoleId
    via: str
    target: str
    target_id: str
    window: Window = ALWAYS
    version: int = 1


def list_bindings(
    *,
    domains: Collection[DomainId],
    role: RoleId | None = None,
    group: GroupId | None = None,
    after: BindingId | None = None,
    limit: int | None = None,
) -> list[BindingRow]:
    """The bindings of the domains by id, of one role or to one group if it is given, beyond `after`, at most `limit`.

    Those too that are not in force.
    """
    rows = Binding.objects.select_related("device", "group", "device_type", "domain").filter(domain_id__in=domains)
    narrowed = {"role_id": role, "group_id": group, "id__gt": after}
    rows = rows.filter(**{name: value for name, value in narrowed.items() if value is not None})
    return [binding_row(row) for row in rows.order_by("id")[:limit]]


def count_bindings(*, domains: Collection[DomainId], roles: Collection[RoleId] | None = None) -> dict[RoleId, int]:
    """How many bindings each role of the domains has, or each of `roles`, of those that have any."""
    found = Binding.objects.filter(domain_id__in=domains)
    if roles is not None:
        found = found.filter(role_id__in=roles)
    rows = found.order_by().values_list("role_id").annotate(size=Count("id"))
    return {RoleId(role): size for role, size in rows}


def next_boundary_in(*, domain: DomainId, now: datetime) -> datetime | None:
    """When the next binding of the domain begins or ends; None if none does."""
    to_come = Binding.objects.filter(domain_id=domain).not_ended(now=now)
    begins = to_come.filter(not_before__gt=now).aggregate(at=Min("not_before"))["at"]
    ends = to_come.aggregate(at=Min("not_after"))["at"]
    return min((moment for moment in (begins, ends) if moment is not None), default=None)


def count_untold(*, now: datetime) -> int:
    """How many windows began or ended by then without anybody having been told."""
    return Binding.objects.untold(now=now).count()


def get_binding(*, binding: BindingId, domains: Collection[DomainId]) -> BindingRow:
    """The binding, in one of the domains. Raises UnknownBinding."""
    rows = Binding.objects.select_related("device", "group", "device_type", "domain")
    row = rows.filter(id=binding, domain_id__in=domains).first()
    if row is None:
        raise unknown_binding()
    return binding_row(row)


def unknown_binding() -> UnknownBinding:
    """The error that there is no such binding."""
    return UnknownBinding("There is no such binding: it may have been removed already.")


def binding_row(row: Binding) -> BindingRow:
    """The row as a value; load it with its four relations."""
    via, target, target_id = target_of(row)
    return BindingRow(
        id=BindingId(row.id),
        domain=DomainId(row.domain_id),
        role=RoleId(row.role_id),
        via=via,
        target=target,
        target_id=target_id,
        window=row.window,
        version=row.version,
    )


def target_of(row: Binding) -> tuple[str, str, str]:
    """(via, name, id) of what a binding gives its role to; load it with its four relations."""
    if row.device:
        return row.device.kind, row.device.name, str(row.device_id)
    if row.group:
        return "group", row.group.name, str(row.group_id)
    if row.device_type:
        return "device_type", row.device_type.name, str(row.device_type_id)
    return "domain", row.domain.slug, str(row.domain_id)
