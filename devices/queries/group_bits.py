"""The roles that the groups and the type of a device bring, summed by the database as bits of a few columns."""

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
    """What groups bring, and then what types bring, each as a bit of one of a few columns; `groups` are of groups.

    PostgreSQL has a disjunction of bits: groups that bring the same roles share a bit there. Elsewhere bits are added
    up, so each group has its own. A device has one type at most, so types may share one everywhere.
    """

    brought: list[Roles]
    groups: int
    of_group: Mapping[UUID, int]
    of_type: Mapping[UUID, int]

    @classmethod
    def of(cls, by_group: Mapping[UUID, Roles], by_type: Mapping[UUID, Roles], *, shared: bool) -> GroupBits:
        """The bits of the groups, of which there is at least one, and of the types."""
        brought = list(dict.fromkeys(by_group.values())) if shared else list(by_group.values())
        of_group = {group: brought.index(roles) if shared else n for n, (group, roles) in enumerate(by_group.items())}
        kinds = list(dict.fromkeys(by_type.values()))
        of_type = {kind: len(brought) + kinds.index(roles) for kind, roles in by_type.items()}
        return cls([*brought, *kinds], len(brought), of_group, of_type)

    @property
    def columns(self) -> range:
        """The number of the first bit of each column."""
        return range(0, len(self.brought), _BITS)

    def spelled(self, words: Sequence[int]) -> tuple[Roles, Roles]:
        """The roles that the columns of a row say: by type, and by groups."""
        held = [n for n in range(len(self.brought)) if words[n // _BITS] >> n % _BITS & 1]
        by_type = frozenset[RoleId]().union(*(self.brought[n] for n in held if n >= self.groups))
        return by_type, frozenset[RoleId]().union(*(self.brought[n] for n in held if n < self.groups))


def _word(place: int, column: int) -> int:
    """What the bit at that place adds to the column."""
    return 1 << place - column if 0 <= place - column < _BITS else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums:
    """How a statement sums the bits of a device `d`: the table `v` (with `params`), which rows of it go with a
    membership `m`, and the sums (with `column_params`).
    """

    table: str
    params: list[Any]
    joined: str
    columns: dict[str, str]
    column_params: list[Any]


def sums_on_postgresql(bits: GroupBits) -> GroupSums:
    """One row of arrays, in which a group is found by bisection, as a type is.

    Memberships are then read in the order of an index; the rows of a join would have to be sorted by device.
    """
    groups, types = sorted(bits.of_group), sorted(bits.of_type)
    words = {f"s{n}": [_word(bits.of_group[group], n) for group in groups] for n in bits.columns}
    arrays = ", ".join(["CAST(%s AS uuid[])", *["CAST(%s AS bigint[])"] * len(words)])
    of_type = (
        "CASE WHEN d.device_type_id = ANY(CAST(%s AS uuid[])) THEN"
        " (CAST(%s AS bigint[]))[width_bucket(d.device_type_id, CAST(%s AS uuid[]))] ELSE 0 END"
    )
    by_types = ([types, [_word(bits.of_type[kind], n) for kind in types], types] for n in bits.columns)
    return GroupSums(
        table=f"v(g, {', '.join(words)}) AS (SELECT {arrays})",
        params=[groups, *words.values()],
        joined="m.group_id = ANY(v.g)",
        columns={
            name: f"bit_or(v.{name}[width_bucket(m.group_id, v.g)])" + (f" | {of_type}" if types else "")
            for name in words
        },
        column_params=[each for by_type in by_types for each in by_type] if types else [],
    )


def sums_elsewhere(bits: GroupBits) -> GroupSums:
    """A row for each group: the group as it is stored, column and bit."""
    stored = Device._meta.pk  # noqa: SLF001 - how a UUID is stored
    each = ((group, n - n % _BITS, 1 << n % _BITS) for group, n in bits.of_group.items())
    rows = [(stored.get_db_prep_value(group, connection), column, bit) for group, column, bit in each]
    types = [(stored.get_db_prep_value(kind, connection), n) for kind, n in bits.of_type.items()]
    of_type = f" + CASE d.device_type_id {'WHEN %s THEN %s ' * len(types)}ELSE 0 END" if types else ""
    return GroupSums(
        table=f"v(g, c, b) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(rows))})",
        params=[value for row in rows for value in row],
        joined="m.group_id = v.g",
        columns={f"s{n}": f"SUM(CASE WHEN v.c = {n} THEN v.b ELSE 0 END){of_type}" for n in bits.columns},
        column_params=[value for n in bits.columns for kind, place in types for value in (kind, _word(place, n))],
    )
