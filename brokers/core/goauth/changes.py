"""From the rows that mosquitto-go-auth reads to those that it should: a user, or a set of roles, at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.goauth.postgresql import READ, WRITE, GoAuthRows, Pair, Row
from brokers.core.ports import Effect

_RIGHT = {Action.PUBLISH: WRITE, Action.SUBSCRIBE: READ}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsChange:
    """One change, made in a transaction of its own: all rows of a set of roles, or all of a user and which set it has.

    `roles` is that set's name; None if it has none.
    """

    kind: str
    name: str
    summary: str
    rows: frozenset[Pair] = frozenset()
    roles: str | None = None


def changes(wanted: GoAuthRows, present: GoAuthRows, *, whole: bool) -> list[RowsChange]:
    """What to change, what takes away first; `present` is about the users that `wanted` is about.

    Only of the `whole` rows of roles that nobody has go.
    """
    new_roles, old_roles = _by_name(wanted.roles), _by_name(present.roles)
    names = new_roles.keys() | old_roles.keys() if whole else new_roles.keys()
    changed = {
        name: new_roles.get(name, _NOTHING) for name in sorted(names) if new_roles.get(name) != old_roles.get(name)
    }
    new, old = _users(wanted), _users(present)
    users = {
        name: new.get(name, _NOBODY)
        for name in sorted(new.keys() | old.keys())
        if new.get(name, _NOBODY) != old.get(name, _NOBODY)
    }
    leaving = [  # lest they have for a moment what is new in the set that they leave
        RowsChange(kind="set-user", name=name, rows=rows, summary=f"Take {name} out of the roles {old[name][0]}.")
        for name, (roles, rows) in users.items()
        if (roles or rows) and name in old and old[name][0] != roles and changed.get(old[name][0] or "")
    ]
    found = [
        RowsChange(kind="set-roles", name=name, rows=rows, summary=f"What {name} may do.")
        for name, rows in changed.items()
    ]
    found += [
        RowsChange(kind="set-user", name=name, rows=rows, roles=roles, summary=f"What {name} may do.")
        for name, (roles, rows) in users.items()
    ]
    return leaving + sorted(found, key=lambda change: bool(change.rows or change.roles))


def effect(before: GoAuthRows, after: GoAuthRows) -> Effect:
    """What changes for the users of either."""
    names = _users(before).keys() | _users(after).keys()
    return effects.effect(names, partial(_flow, before), partial(_flow, after))


_User = tuple[str | None, frozenset[Pair]]
_NOTHING: frozenset[Pair] = frozenset()
_NOBODY: _User = (None, _NOTHING)


def _users(rows: GoAuthRows) -> Mapping[str, _User]:
    own = _by_name(rows.own)
    names = rows.members.keys() | own.keys()
    return {name: (rows.members.get(name), own.get(name, frozenset())) for name in names}


def _by_name(rows: Iterable[Row]) -> Mapping[str, frozenset[Pair]]:
    found: dict[str, set[Pair]] = defaultdict(set)
    for row in rows:
        found[row.whose].add((row.topic, row.rw))
    return {name: frozenset(pairs) for name, pairs in found.items()}


def _flow(rows: GoAuthRows, name: str, action: Action) -> Flow:
    roles = rows.members.get(name)
    shared = {row.topic.replace("%u", name) for row in rows.roles if row.whose == roles and row.rw == _RIGHT[action]}
    own = {row.topic for row in rows.own if row.whose == name and row.rw == _RIGHT[action]}
    return Flow(allows=frozenset(shared | own))
