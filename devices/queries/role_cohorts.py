"""Devices that have a role, counted by which of some other roles they have too, in three passes of the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count

from acl.core.analysis_conditions import Condition
from acl.core.values import RoleId
from devices.models import Binding, Device, DeviceQuerySet
from devices.queries.reaching import Reached, reached_rows, roomy
from kernel.core.ids import DomainId

_BITS = 62  # of a column; the sign stays free
_MOST_SINGLE = 2_000
_MOST_GROUPINGS = 20_000

Roles = frozenset[RoleId]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCounts:
    """How many devices have just these of the roles, the most first.

    `uncounted` are the others: beyond those, or beyond the first 2,000 with bindings of their own.
    """

    by_roles: Mapping[Roles, int]
    uncounted: int


@dataclass(frozen=True, slots=True)
class _Wide:
    """Who has which of the roles by domain, type and group."""

    everyone: Roles
    by_type: Mapping[UUID, Roles]
    by_group: Mapping[UUID, Roles]

    def roles(self, kind: UUID, groups: Iterable[UUID]) -> Roles:
        """Those of a device of that type in those groups."""
        return self.everyone.union(self.by_type.get(kind, ()), *(self.by_group[group] for group in groups))


def count_by_roles(*, domain: DomainId, condition: Condition, among: Collection[RoleId], most: int) -> RoleCounts:
    """The active devices to whom the condition applies, by which roles of `among` they have; the `most` largest."""
    bindings = Binding.objects.filter(domain_id=domain, role_id__in=among)
    wide = _wide(bindings.filter(device=None))
    single = bindings.filter(device__isnull=False).order_by("device_id").values_list("device_id", "role_id")
    own: dict[UUID, set[RoleId]] = defaultdict(set)
    for device, role in single[:_MOST_SINGLE]:
        own[device].add(RoleId(role))
    counted: Counter[Roles] = Counter()
    with roomy():
        rows = reached_rows(Reached(domain=domain, condition=condition))
        total = rows.count()
        for device, roles in _one_by_one(rows, wide, list(own)):
            counted[roles | own[device]] += 1
        rest = rows.exclude(pk__in=bindings.filter(device__isnull=False).values("device_id")) if own else rows
        for roles, count in _by_wide_bindings(rest, wide):
            counted[roles] += count
    largest = sorted((+counted).items(), key=lambda item: (-item[1], sorted(item[0])))
    shown = dict(largest[:most])
    return RoleCounts(by_roles=shown, uncounted=total - sum(shown.values()))


def _wide(bindings: Iterable[Binding]) -> _Wide:
    everyone: set[RoleId] = set()
    by_type: dict[UUID, set[RoleId]] = defaultdict(set)
    by_group: dict[UUID, set[RoleId]] = defaultdict(set)
    for binding in bindings:
        role = RoleId(binding.role_id)
        if binding.group_id:
            by_group[binding.group_id].add(role)
        elif binding.device_type_id:
            by_type[binding.device_type_id].add(role)
        else:
            everyone.add(role)
    return _Wide(
        everyone=frozenset(everyone),
        by_type={id: frozenset(roles) for id, roles in by_type.items()},
        by_group={id: frozenset(roles) for id, roles in by_group.items()},
    )


def _one_by_one(rows: DeviceQuerySet, wide: _Wide, devices: Collection[UUID]) -> Iterator[tuple[UUID, Roles]]:
    """Those of these devices that are among the rows, with their roles by domain, type and group."""
    found = list(rows.filter(pk__in=devices).values_list("id", "device_type_id"))
    member = Device.groups.through.objects.filter(device_id__in=[id for id, _ in found], group_id__in=wide.by_group)
    groups: dict[UUID, list[UUID]] = defaultdict(list)
    for device, group in member.values_list("device_id", "group_id"):
        groups[device].append(group)
    for id, kind in found:
        yield id, wide.roles(kind, groups[id])


def _by_wide_bindings(rows: DeviceQuerySet, wide: _Wide) -> Iterator[tuple[Roles, int]]:
    """The rows counted by their types and groups; those in none of the groups are what is left of the others."""
    by_type = dict(rows.order_by().values_list("device_type_id").annotate(Count("pk")))
    found = list(_by_groups(rows, list(wide.by_group))) if wide.by_group else []
    for kind, groups, count in found:
        by_type[kind] -= count
        yield wide.roles(kind, groups), count
    if len(found) == _MOST_GROUPINGS:  # then nobody knows how many of the others are in other groups
        return
    for kind, count in by_type.items():
        yield wide.roles(kind, ()), count


def _by_groups(rows: DeviceQuerySet, groups: list[UUID]) -> Iterator[tuple[UUID, list[UUID], int]]:
    """(type, groups, number) of the devices in some of the groups. A group is a bit of one of a few sums."""
    try:
        devices, params = rows.order_by().values("id", "device_type_id").query.sql_with_params()
    except EmptyResultSet:
        return
    columns = range(0, len(groups), _BITS)
    sums = [f"SUM(CASE WHEN v.c = {start} THEN v.b ELSE 0 END) AS s{start}" for start in columns]
    names = ", ".join(f"s{start}" for start in columns)
    kind = ("uuid", "integer", "bigint") if connection.vendor == "postgresql" else ("text", "integer", "integer")
    row = f"(CAST(%s AS {kind[0]}), CAST(%s AS {kind[1]}), CAST(%s AS {kind[2]}))"
    member = Device.groups.through._meta.db_table  # noqa: SLF001 - Django's own way to the table
    statement = (
        f"WITH v(g, c, b) AS (VALUES {', '.join([row] * len(groups))})"  # noqa: S608 - no value stands in it
        f" SELECT t, {names}, COUNT(*) FROM (SELECT d.device_type_id AS t, {', '.join(sums)} FROM ({devices}) d"
        f" JOIN {member} m ON m.device_id = d.id JOIN v ON v.g = m.group_id GROUP BY d.id, d.device_type_id) x"
        f" GROUP BY t, {names} ORDER BY COUNT(*) DESC, t, {names} LIMIT {_MOST_GROUPINGS}"
    )
    field = Device._meta.pk  # noqa: SLF001 - how a UUID is stored
    bits = [
        value
        for number, group in enumerate(groups)
        for value in (field.get_db_prep_value(group, connection), number - number % _BITS, 1 << number % _BITS)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [*bits, *params])
        for kind_id, *sums_found, count in cursor.fetchall():
            yield UUID(str(kind_id)), _spelled(groups, [int(each) for each in sums_found]), count


def _spelled(groups: list[UUID], sums: list[int]) -> list[UUID]:
    return [group for number, group in enumerate(groups) if sums[number // _BITS] >> number % _BITS & 1]
