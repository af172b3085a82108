# ruff: noqa: S608 - what stands in a statement besides values are names of the schema, written here
"""The tables of an ESE SQL realm in PostgreSQL or MySQL. The schema is HiveMQ's; ids are the database's own.

Nothing is deleted by a cascade, so what refers goes first. A row of `permissions` may be shared by many, those of
others included: it goes when the last one of ours has left it and nobody else is there. MySQL may take one text for
another (case, accents, blanks at the end), so no text that it found is taken for ours before it is compared here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from brokers.adapters.hivemq_database import Session, session
from brokers.adapters.postgresql import TextNotKept
from brokers.core.hivemq.changes import ENDING_ROLE, RealmChange, is_ours
from brokers.core.hivemq.connection import HivemqConnection
from brokers.core.hivemq.ese_sql import columns_of, permission_of
from brokers.core.hivemq.permissions import Account, Permission, Realm
from brokers.core.hivemq.policy import NOTHING_ROLE
from brokers.core.taken_names import AccountTaken

_FLAGS = (
    "publish_allowed",
    "subscribe_allowed",
    "qos_0_allowed",
    "qos_1_allowed",
    "qos_2_allowed",
    "retained_msgs_allowed",
    "shared_sub_allowed",
)
_COLUMNS = ", ".join(("topic", *_FLAGS, "shared_group"))
_SAYS_SOMETHING = (
    "(p.publish_allowed OR p.subscribe_allowed) AND (p.qos_0_allowed OR p.qos_1_allowed OR p.qos_2_allowed)"
)
_SCHEMA = (
    "The database has not the tables of ESE's SQL realm (4.x), or our account may not use them: it needs SELECT, "
    "INSERT, UPDATE and DELETE on users, roles, permissions, user_roles, user_permissions and role_permissions."
)
_COLLATION = (
    "SELECT collation_name FROM information_schema.columns"
    " WHERE table_schema = database() AND table_name = 'users' AND column_name = 'username'"
)
_EXACT = ("_nopad_bin", "_0900_bin")
_BATCH = 500


class Tables:
    """The tables, by one connection. Every method is one transaction, and raises BrokerUnreachable."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def realm(self, *, only: Collection[str] | None = None) -> tuple[Realm, frozenset[str]]:
        """Our accounts and roles, and the names of accounts that are not ours; with `only` of those names alone.

        An account that the database takes for one of `only` is not ours then. One without a password counts as
        barred, which is what its password says.
        """
        with self._session.transaction():
            roles = self._roles()
            users = self._users(only)
            held: dict[int, set[Permission]] = defaultdict(set)
            for user, *columns in self._permissions("user_permissions", "user_id", users):
                held[user].add(_permission(columns))
            has: dict[int, set[str]] = defaultdict(set)
            given = "SELECT u.user_id, r.name FROM user_roles u JOIN roles r ON r.id = u.role_id WHERE u.user_id IN"
            for user, role in self._among(given, users):
                has[user].add(role)
        ours = {
            name: Account(roles=tuple(sorted(has[id])), permissions=frozenset(held[id]), barred=bool(barred))
            for id, (name, barred) in users.items()
            if NOTHING_ROLE in has[id] and (only is None or name in only)
        }
        return Realm(users=ours, roles=roles), frozenset(name for name, _ in users.values()) - ours.keys()

    def passwords(self, names: Collection[str]) -> dict[str, str]:
        """What is kept of the passwords of those of these accounts that have one: their columns as JSON."""
        query = (
            "SELECT username, password, password_iterations, password_salt, algorithm FROM users"
            " WHERE password IS NOT NULL AND username IN"
        )
        return {name: json.dumps(columns) for name, *columns in self._among(query, sorted(names)) if name in names}

    def set_password(self, name: str, text: str) -> None:
        """Puts the columns of a password in place of those that there were; none if the text is empty."""
        columns = json.loads(text) if text else (None, 0, "", "PKCS5S2")
        with self._session.transaction():
            self._session.execute(
                "UPDATE users SET password = %s, password_iterations = %s, password_salt = %s, algorithm = %s"
                " WHERE id = %s",
                [*columns, self._id("users", "username", name)],
            )

    def folds(self) -> bool:
        """Whether MySQL may take one account's name for another's: unless it compares octet by octet."""
        [(collation,)] = self._session.execute(_COLLATION) or [("",)]
        return collation is not None and not collation.endswith(_EXACT)

    def make(self, change: RealmChange, *, marks: bool) -> None:
        """Makes the change; who has a role that `ends` gets a mark in the same transaction, if there are to be `marks`.

        Raises AccountTaken if the database takes its name for another's, and TextNotKept; nothing is changed then.
        """
        with self._session.transaction():
            if change.role is not None:
                role = self._set_role(change.name, change.role)
                if change.ends and marks:
                    self._mark(role)
            elif change.account is not None:
                self._set_user(change.name, change.account)
            elif change.kind == "delete-user":
                self._delete("users", "username", change.name)
            else:
                self._delete("roles", "name", change.name)

    def _roles(self) -> dict[str, frozenset[Permission]]:
        ids = {id: name for id, name in self._session.execute("SELECT id, name FROM roles") if is_ours(name)}
        held: dict[str, set[Permission]] = {name: set() for name in ids.values()}
        for role, *columns in self._permissions("role_permissions", "role", ids):
            held[ids[role]].add(_permission(columns))
        return {name: frozenset(permissions) for name, permissions in held.items()}

    def _users(self, only: Collection[str] | None) -> dict[int, tuple[str, bool]]:
        query = "SELECT id, username, password IS NULL FROM users"
        rows = self._session.execute(query) if only is None else self._among(query + " WHERE username IN", sorted(only))
        return {id: (name, barred) for id, name, barred in rows}

    def _permissions(self, table: str, owner: str, owners: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        query = (
            f"SELECT l.{owner}, {_COLUMNS} FROM {table} l JOIN permissions p ON p.id = l.permission"
            f" WHERE {_SAYS_SOMETHING} AND l.{owner} IN"
        )
        return self._among(query, owners)

    def _set_role(self, name: str, permissions: frozenset[Permission]) -> int:
        made = "INSERT INTO roles (name, description) VALUES (%s, 'Made by Gatehouse.')"
        role = self._made("roles", "name", name, made)
        self._link("role_permissions", "role", role, permissions)
        return role

    def _mark(self, role: int) -> None:
        """Marks our accounts that have the role: each has lost something, and its session is still to end."""
        made = "INSERT INTO roles (name) VALUES (%s)"
        ours, ending = (self._made("roles", "name", name, made) for name in (NOTHING_ROLE, ENDING_ROLE))
        of_role = "user_id IN (SELECT user_id FROM user_roles WHERE role_id = %s)"
        self._session.execute(
            f"INSERT INTO user_roles (user_id, role_id) SELECT user_id, %s FROM user_roles"
            f" WHERE role_id = %s AND {of_role} AND NOT {of_role}",
            [ending, ours, role, ending],
        )

    def _set_user(self, name: str, account: Account) -> None:
        made = (
            "INSERT INTO users (username, password_iterations, password_salt, algorithm) VALUES (%s, 0, '', 'PKCS5S2')"
        )
        user = self._made("users", "username", name, made)
        if account.barred:
            self._session.execute("UPDATE users SET password = NULL WHERE id = %s", [user])
        made = "INSERT INTO roles (name) VALUES (%s)"
        roles = {self._made("roles", "name", role, made) for role in account.roles}
        self._hold("user_roles", "user_id", user, "role_id", roles)
        self._link("user_permissions", "user_id", user, account.permissions)

    def _link(self, table: str, owner: str, id: int, permissions: frozenset[Permission]) -> None:
        """Gives the owner just these permissions."""
        left = self._hold(table, owner, id, "permission", {self._permission_id(each) for each in permissions})
        for each in left:
            self._session.execute(
                "DELETE FROM permissions WHERE id = %s"
                " AND NOT EXISTS (SELECT 1 FROM role_permissions r WHERE r.permission = permissions.id)"
                " AND NOT EXISTS (SELECT 1 FROM user_permissions u WHERE u.permission = permissions.id)",
                [each],
            )

    def _hold(self, table: str, owner: str, id: int, column: str, wanted: set[int]) -> set[int]:
        """Links the owner with these rows and no others; those that it was linked with besides come back."""
        present = {each for (each,) in self._session.execute(f"SELECT {column} FROM {table} WHERE {owner} = %s", [id])}
        for each in sorted(present - wanted):
            self._session.execute(f"DELETE FROM {table} WHERE {owner} = %s AND {column} = %s", [id, each])
        for each in sorted(wanted - present):
            self._session.execute(f"INSERT INTO {table} ({owner}, {column}) VALUES (%s, %s)", [id, each])
        return present - wanted

    def _permission_id(self, permission: Permission) -> int:
        """The first row that says just this; a new one if there is none."""
        columns = columns_of(permission)
        values = [columns["topic"], *(columns[flag] for flag in _FLAGS), columns["shared_group"]]
        found = self._same_permission(values)
        if found is None:
            made = f"INSERT INTO permissions ({_COLUMNS}) VALUES ({', '.join(['%s'] * len(values))})"
            self._session.execute(made, values)
            found = self._same_permission(values)
        if found is None:
            raise TextNotKept(f"The database keeps the topic {permission.topic!r:.200} as another text.")
        return found

    def _same_permission(self, values: list[Any]) -> int | None:
        topic, *flags, group = values
        same = " AND ".join(f"{flag} = %s" for flag in _FLAGS)
        query = f"SELECT id, topic, shared_group FROM permissions WHERE topic = %s AND {same} ORDER BY id"
        rows = self._session.execute(query, [topic, *flags])
        return next((int(id) for id, text, of in rows if (text, of or "") == (topic, group)), None)

    def _delete(self, table: str, column: str, name: str) -> None:
        owners = {"users": ("user_permissions", "user_id", "user_id"), "roles": ("role_permissions", "role", "role_id")}
        linked, owner, in_roles = owners[table]
        found = self._id(table, column, name)
        if found is None:
            return
        self._link(linked, owner, found, frozenset())
        for where, whose in (("user_roles", in_roles), (table, "id")):
            self._session.execute(f"DELETE FROM {where} WHERE {whose} = %s", [found])

    def _made(self, table: str, column: str, name: str, made: str) -> int:
        """The id of the row of this very name, made by that statement if there is none. Raises AccountTaken."""
        found = self._id(table, column, name)
        if found is None:
            if alike := self._named(table, column, name):
                raise AccountTaken(why_taken(name, alike[0][1]))
            self._session.execute(made, [name])
            found = self._id(table, column, name)
        if found is None:
            raise TextNotKept(f"The database keeps {name!r} in {table} as another text.")
        return found

    def _id(self, table: str, column: str, name: str) -> int | None:
        """The id of the row of this very name, which nobody else changes meanwhile; None if there is none."""
        return next((int(id) for id, found in self._named(table, column, name) if found == name), None)

    def _named(self, table: str, column: str, name: str) -> list[tuple[Any, ...]]:
        """Id and name of the rows that the database takes for those of this name."""
        return self._session.execute(f"SELECT id, {column} FROM {table} WHERE {column} = %s FOR UPDATE", [name])

    def _among(self, query: str, values: Iterable[object]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query that ends with IN, for these values."""
        listed = list(values)
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            yield from self._session.execute(f"{query} ({', '.join(['%s'] * len(batch))})", batch)


@contextmanager
def tables(connection: HivemqConnection) -> Iterator[Tables]:
    """The tables; the connection is closed at the end. Raises BrokerUnreachable."""
    with session(connection, wanted=_SCHEMA) as opened:
        yield Tables(opened)


def why_taken(name: str, by: str) -> str:
    """Why a device can not have its name in the realm, since another account has it or one alike."""
    if name == by:
        return (
            f"The realm has the account {by!r}, which Gatehouse did not make: a device of that name is that "
            f"account there. Rename or delete it, or give it the role {NOTHING_ROLE}, which hands it over to us."
        )
    return (
        f"The realm has {by!r}, and its database takes {name!r} for that name (case, accents or blanks at the end): "
        "one would have what the other has. Rename or delete one of the two."
    )


def _permission(columns: list[Any]) -> Permission:
    return permission_of(dict(zip(("topic", *_FLAGS, "shared_group"), columns, strict=True)))
