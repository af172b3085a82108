"""The tables of an ESE SQL realm in PostgreSQL. The schema is HiveMQ's; ids are the database's own, and never guessed.

Nothing is deleted by a cascade, so what refers goes first. A row of `permissions` may be shared by many, those of
others included: it goes when the last one of ours has left it and nobody else is there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

from psycopg import Connection, sql

from brokers.adapters.postgresql import session
from brokers.core.hivemq import NOTHING_ROLE
from brokers.core.hivemq_changes import RealmChange, is_ours
from brokers.core.hivemq_connection import HivemqConnection
from brokers.core.hivemq_ese_sql import columns_of, permission_of
from brokers.core.hivemq_permissions import Account, Permission, Realm

_FLAGS = (
    "publish_allowed",
    "subscribe_allowed",
    "qos_0_allowed",
    "qos_1_allowed",
    "qos_2_allowed",
    "retained_msgs_allowed",
    "shared_sub_allowed",
)
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, ("topic", *_FLAGS, "shared_group")))
_SCHEMA = (
    "The database has not the tables of ESE's SQL realm (4.x), or our account may not use them: it needs SELECT, "
    "INSERT, UPDATE and DELETE on users, roles, permissions, user_roles, user_permissions and role_permissions."
)


class Tables:
    """The tables, by one connection. Every method is one transaction, and raises BrokerUnreachable."""

    def __init__(self, session: Connection[Any]) -> None:
        self._session = session

    def realm(self, *, only: Collection[str] | None = None) -> tuple[Realm, frozenset[str]]:
        """Our accounts and roles, and the names of accounts that are not ours; with `only` of those names alone.

        An account without a password counts as barred, which is what its password says.
        """
        with self._session.transaction():
            roles = self._roles()
            users = self._users(only)
            held: dict[int, set[Permission]] = defaultdict(set)
            for user, *columns in self._permissions("user_permissions", "user_id", list(users)):
                held[user].add(_permission(columns))
            has: dict[int, set[str]] = defaultdict(set)
            given = (
                "SELECT u.user_id, r.name FROM user_roles u JOIN roles r ON r.id = u.role_id WHERE u.user_id = ANY(%s)"
            )
            for user, role in self._rows(given, list(users)):
                has[user].add(role)
        ours = {
            name: Account(roles=tuple(sorted(has[id])), permissions=frozenset(held[id]), barred=barred)
            for id, (name, barred) in users.items()
            if NOTHING_ROLE in has[id]
        }
        return Realm(users=ours, roles=roles), frozenset(name for name, _ in users.values()) - ours.keys()

    def passwords(self, names: Collection[str]) -> dict[str, str]:
        """What is kept of the passwords of those of these accounts that have one: their columns as JSON."""
        query: LiteralString = (
            "SELECT username, password, password_iterations, password_salt, algorithm FROM users"
            " WHERE password IS NOT NULL AND username = ANY(%s)"
        )
        return {name: json.dumps(columns) for name, *columns in self._rows(query, sorted(names))}

    def set_password(self, name: str, text: str) -> None:
        """Puts the columns of a password in place of those that there were; none if the text is empty."""
        columns = json.loads(text) if text else (None, 0, "", "PKCS5S2")
        self._session.execute(
            "UPDATE users SET password = %s, password_iterations = %s, password_salt = %s, algorithm = %s"
            " WHERE username = %s",
            [*columns, name],
        )

    def make(self, change: RealmChange) -> None:
        """Makes the change."""
        with self._session.transaction():
            if change.role is not None:
                self._set_role(change.name, change.role)
            elif change.account is not None:
                self._set_user(change.name, change.account)
            elif change.kind == "delete-user":
                self._delete("users", "username", change.name)
            else:
                self._delete("roles", "name", change.name)

    def _roles(self) -> dict[str, frozenset[Permission]]:
        ids = {id: name for id, name in self._rows("SELECT id, name FROM roles") if is_ours(name)}
        held: dict[str, set[Permission]] = {name: set() for name in ids.values()}
        for role, *columns in self._permissions("role_permissions", "role", list(ids)):
            held[ids[role]].add(_permission(columns))
        return {name: frozenset(permissions) for name, permissions in held.items()}

    def _users(self, only: Collection[str] | None) -> dict[int, tuple[str, bool]]:
        query: LiteralString = "SELECT id, username, password IS NULL FROM users"
        rows = self._rows(query) if only is None else self._rows(query + " WHERE username = ANY(%s)", sorted(only))
        return {id: (name, barred) for id, name, barred in rows}

    def _permissions(self, table: str, owner: str, owners: list[int]) -> Iterator[tuple[Any, ...]]:
        query = sql.SQL(
            "SELECT l.{}, {} FROM {} l JOIN permissions p ON p.id = l.permission"
            " WHERE l.{} = ANY(%s) AND (p.publish_allowed OR p.subscribe_allowed)"
            " AND (p.qos_0_allowed OR p.qos_1_allowed OR p.qos_2_allowed)"
        )
        yield from self._session.execute(
            query.format(sql.Identifier(owner), _COLUMNS, sql.Identifier(table), sql.Identifier(owner)), [owners]
        )

    def _set_role(self, name: str, permissions: frozenset[Permission]) -> None:
        made = "INSERT INTO roles (name, description) VALUES (%s, 'Made by Gatehouse.') ON CONFLICT (name) DO NOTHING"
        self._session.execute(made, [name])
        [(role,)] = self._rows("SELECT id FROM roles WHERE name = %s FOR UPDATE", name)
        self._link("role_permissions", "role", role, permissions)

    def _set_user(self, name: str, account: Account) -> None:
        made = (
            "INSERT INTO users (username, password_iterations, password_salt, algorithm) VALUES (%s, 0, '', 'PKCS5S2')"
            " ON CONFLICT (username) DO NOTHING"
        )
        self._session.execute(made, [name])
        [(user,)] = self._rows("SELECT id FROM users WHERE username = %s FOR UPDATE", name)
        if account.barred:
            self._session.execute("UPDATE users SET password = NULL WHERE id = %s", [user])
        there = "INSERT INTO roles (name) SELECT unnest(%s::text[]) ON CONFLICT (name) DO NOTHING"
        self._session.execute(there, [list(account.roles)])
        roles = [id for (id,) in self._rows("SELECT id FROM roles WHERE name = ANY(%s)", list(account.roles))]
        self._session.execute("DELETE FROM user_roles WHERE user_id = %s AND role_id <> ALL(%s)", [user, roles])
        added = "INSERT INTO user_roles (user_id, role_id) SELECT %s, unnest(%s::int[]) ON CONFLICT DO NOTHING"
        self._session.execute(added, [user, roles])
        self._link("user_permissions", "user_id", user, account.permissions)

    def _link(self, table: str, owner: str, id: int, permissions: frozenset[Permission]) -> None:
        """Gives the owner just these permissions."""
        wanted = [self._permission_id(permission) for permission in permissions]
        names = {"table": sql.Identifier(table), "owner": sql.Identifier(owner)}
        removed = sql.SQL("DELETE FROM {table} WHERE {owner} = %s AND permission <> ALL(%s) RETURNING permission")
        left = [each for (each,) in self._session.execute(removed.format(**names), [id, wanted])]
        added = sql.SQL("INSERT INTO {table} ({owner}, permission) SELECT %s, unnest(%s::int[]) ON CONFLICT DO NOTHING")
        self._session.execute(added.format(**names), [id, wanted])
        self._session.execute(
            "DELETE FROM permissions p WHERE p.id = ANY(%s)"
            " AND NOT EXISTS (SELECT 1 FROM role_permissions r WHERE r.permission = p.id)"
            " AND NOT EXISTS (SELECT 1 FROM user_permissions u WHERE u.permission = p.id)",
            [left],
        )

    def _permission_id(self, permission: Permission) -> int:
        """The first row that says just this; a new one if there is none."""
        columns = columns_of(permission)
        values = [columns["topic"], *(columns[flag] for flag in _FLAGS), columns["shared_group"]]
        same = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(flag)) for flag in _FLAGS)
        query = sql.SQL("SELECT id FROM permissions WHERE topic = %s AND {} AND coalesce(shared_group, '') = %s")
        found = self._session.execute(query.format(same) + sql.SQL(" ORDER BY id LIMIT 1"), values).fetchone()
        if found is None:
            marks = sql.SQL(", ").join(sql.Placeholder() * len(values))
            made = sql.SQL("INSERT INTO permissions ({}) VALUES ({}) RETURNING id").format(_COLUMNS, marks)
            found = self._session.execute(made, values).fetchone()
        assert found is not None
        return int(found[0])

    def _delete(self, table: str, column: str, name: str) -> None:
        owners = {"users": ("user_permissions", "user_id", "user_id"), "roles": ("role_permissions", "role", "role_id")}
        linked, owner, in_roles = owners[table]
        query = sql.SQL("SELECT id FROM {} WHERE {} = %s FOR UPDATE")
        found = self._session.execute(query.format(sql.Identifier(table), sql.Identifier(column)), [name]).fetchone()
        if found is None:
            return
        self._link(linked, owner, found[0], frozenset())
        for where, whose in (("user_roles", in_roles), (table, "id")):
            gone = sql.SQL("DELETE FROM {} WHERE {} = %s").format(sql.Identifier(where), sql.Identifier(whose))
            self._session.execute(gone, [found[0]])

    def _rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        return self._session.execute(query, values).fetchall()


@contextmanager
def tables(connection: HivemqConnection) -> Iterator[Tables]:
    """The tables; the connection is closed at the end. Raises BrokerUnreachable."""
    with session(connection, wanted=_SCHEMA) as opened:
        yield Tables(opened)


def _permission(columns: list[Any]) -> Permission:
    return permission_of(dict(zip(("topic", *_FLAGS, "shared_group"), columns, strict=True)))
