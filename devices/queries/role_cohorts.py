"""Devices that have a role, counted by which of some other roles they have too, in three passes of the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count

from acl.core.analysis_conditions import Condition
from acl.core.values import RoleId
from devices.models import Binding, Device, DeviceQuerySet
from devices.queries.group_bits import GroupBits, Roles, sums_elsewhere, sums_on_postgresql
from devices.queries.reaching import Reached, reached_rows, roomy
from kernel.core.ids import DomainId

_MOST_SINGLE = 2_000
_MOST_GROUPINGS = 20_000


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

    def roles(self, kind: UUID | None, groups: Iterable[UUID]) -> Roles:
        """Those of a device of that type in those groups."""
        by_type = self.by_type.get(kind, ()) if kind else ()
        return self.everyone.union(by_type, *(self.by_group[group] for group in groups))


def count_by_roles(
    *, domain: DomainId, condition: Condition, among: Collection[RoleId], most: int, now: datetime
) -> RoleCounts:
    """The active devices to whom the condition applies, by which roles of `among` they have; the `most` largest."""
    bindings = Binding.objects.filter(domain_id=domain, role_id__in=among).in_force(now=now)
    wide = _wide(bindings.filter(device=None))
    single = bindings.filter(device__isnull=False).order_by("device_id").values_list("device_id", "role_id")
    own: dict[UUID, set[RoleId]] = defaultdict(set)
    read = list(single[:_MOST_SINGLE])
    for device, role in read:
        own[device].add(RoleId(role))
    if len(read) == _MOST_SINGLE:
        own.pop(read[-1][0])  # there may be more bindings of it
    counted: Counter[Roles] = Counter()
    with roomy():
        rows = reached_rows(Reached(domain=domain, condition=condition, now=now))
        with_own = rows.filter(pk__in=single.values("device_id")) if own else rows.none()
        for device, roles in _one_by_one(rows, wide, list(own)):
            counted[roles | own[device]] += 1
        beyond = with_own.count() - counted.total() if own else 0
        rest = rows.exclude(pk__in=single.values("device_id")) if own else rows
        found, uncounted = _by_wide_bindings(rest, wide)
    largest = sorted((+counted + found).items(), key=lambda item: (-item[1], sorted(item[0])))
    return RoleCounts(
        by_roles=dict(largest[:most]), uncounted=beyond + uncounted + sum(count for _, count in largest[most:])
    )


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


def _by_wide_bindings(rows: DeviceQuerySet, wide: _Wide) -> tuple[Counter[Roles], int]:
    """The rows counted by their types and groups, and how many are left uncounted.

    Those in none of the groups are what is left of the others, unless not all others were counted.
    """
    kinds = rows.order_by().values_list("device_type_id").annotate(Count("pk")) if wide.by_type else ()
    by_type: Counter[Roles] = Counter() if wide.by_type else Counter({frozenset(): rows.count()})
    for kind, count in kinds:
        by_type[wide.by_type.get(kind, frozenset())] += count
    counted: Counter[Roles] = Counter()
    found = list(_by_groups(rows, wide)) if wide.by_group else []
    for of_type, roles, count in found:
        by_type[of_type] -= count
        counted[wide.everyone | of_type | roles] += count
    if len(found) == _MOST_GROUPINGS:
        return counted, by_type.total()
    for of_type, count in by_type.items():
        counted[wide.everyone | of_type] += count
    return +counted, 0


def _by_groups(rows: DeviceQuerySet, wide: _Wide) -> Iterator[tuple[Roles, Roles, int]]:
    """(roles by type, roles by groups, number) of the devices in some of the groups."""
    try:
        devices, params = rows.order_by().values("id", "device_type_id").query.sql_with_params()
    except EmptyResultSet:
        return
    on_postgresql = connection.vendor == "postgresql"
    bits = GroupBits.of(wide.by_group, wide.by_type, shared=on_postgresql)
    sums = sums_on_postgresql(bits) if on_postgresql else sums_elsewhere(bits)
    member = Device.groups.through._meta.db_table  # noqa: SLF001 - Django's own way to the table
    found = ", ".join(sums.columns)
    statement = (
        f"WITH {sums.table} SELECT {found}, COUNT(*) FROM ("  # noqa: S608 - names of ours
        f"SELECT {', '.join(f'{column} AS {name}' for name, column in sums.columns.items())}"
        f" FROM ({devices}) d JOIN {member} m ON m.device_id = d.id JOIN v ON {sums.joined}"
        f" GROUP BY d.id, d.device_type_id"
        f") x GROUP BY {found} ORDER BY COUNT(*) DESC, {found} LIMIT {_MOST_GROUPINGS}"
    )
    with connection.cursor() as cursor:
        if on_postgresql:  # what an index has in order needs no hash; until the transaction's end
            cursor.execute("SELECT set_config('enable_hashagg', 'off', true)")
        cursor.execute(statement, [*sums.params, *sums.column_params, *params])
        for *row, count in cursor.fetchall():
            yield *bits.spelled(row), count
