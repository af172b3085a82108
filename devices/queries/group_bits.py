"""The roles that the groups of a device bring, summed by the database as bits of a few columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from acl.core.values import RoleId
from devices.models import Device

_BITS = 62  # of a column; the sign stays free

Roles = frozenset[RoleId]


@dataclass(frozen=True, slots=True)
class GroupBits:
    """What groups bring, each as a bit of one of a few columns. PostgreSQL has a disjunction of bits: groups that bring
    the same roles share a bit there. Elsewhere bits are added up, so each group has its own.
    """

    brought: list[Roles]
    of_group: Mapping[UUID, int]

    @classmethod
    def of(cls, by_group: Mapping[UUID, Roles], *, shared: bool) -> GroupBits:
        """The bits of the groups, of which there is at least one."""
        if not shared:
            return cls(list(by_group.values()), {group: number for number, group in enumerate(by_group)})
        brought = list(dict.fromkeys(by_group.values()))
        return cls(brought, {group: brought.index(roles) for group, roles in by_group.items()})

    @property
    def columns(self) -> range:
        """The number of the first bit of each column."""
        return range(0, len(self.brought), _BITS)

    def word(self, group: UUID, column: int) -> int:
        """What the group adds to the column."""
        return 1 << place if 0 <= (place := self.of_group[group] - column) < _BITS else 0

    def spelled(self, words: Sequence[int]) -> Roles:
        """The roles that the columns of a row say."""
        held = (roles for n, roles in enumerate(self.brought) if words[n // _BITS] >> n % _BITS & 1)
        return frozenset[RoleId]().union(*held)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """How a statement sums the bits: the table `v` (with `params`), which rows of it go with a membership `m`, sums."""

    table: str
    params: list[Any]
    joined: str
    columns: dict[str, str]


def sums_on_postgresql(bits: GroupBits) -> GroupSums:
    """One row of arrays, in which a group is found by bisection.

    Memberships are then read in the order of an index; the rows of a join would have to be sorted by device.
    """
    groups = sorted(bits.of_group)
    words = {f"s{n}": [bits.word(group, n) for group in groups] for n in bits.columns}
    arrays = ", ".join(["CAST(%s AS uuid[])", *["CAST(%s AS bigint[])"] * len(words)])
    return GroupSums(
        table=f"v(g, {', '.join(words)}) AS (SELECT {arrays})",
        params=[groups, *words.values()],
        joined="m.group_id = ANY(v.g)",
        columns={name: f"bit_or(v.{name}[width_bucket(m.group_id, v.g)])" for name in words},
    )


def sums_elsewhere(bits: GroupBits) -> GroupSums:
    """A row for each group: the group as it is stored, column and bit."""
    stored = Device._meta.pk  # noqa: SLF001 - how a UUID is stored
    each = ((group, n - n % _BITS, 1 << n % _BITS) for group, n in bits.of_group.items())
    rows = [(stored.get_db_prep_value(group, connection), column, bit) for group, column, bit in each]
    return GroupSums(
        table=f"v(g, c, b) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(rows))})",
        params=[value for row in rows for value in row],
        joined="m.group_id = v.g",
        columns={f"s{n}": f"SUM(CASE WHEN v.c = {n} THEN v.b ELSE 0 END)" for n in bits.columns},
    )
