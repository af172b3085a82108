"""A Mosquitto with mosquitto-go-auth, by the rows that the plugin reads from PostgreSQL.

The tables are ours alone. The plugin asks at each publish, subscription and delivery, as far as its cache lets it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from psycopg import Connection, sql

from acl.core.values import Principal, Request
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.postgresql import session
from brokers.adapters.writing import Latest, paced
from brokers.core.goauth import postgresql as goauth_postgresql
from brokers.core.goauth.changes import RowsChange, changes, effect
from brokers.core.goauth.connection import GoAuthConnection, connection_errors
from brokers.core.goauth.emulator import emulate_rows
from brokers.core.goauth.postgresql import GoAuthRows, Row, parse, to_artifact
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import fingerprints, texts_in
from brokers.core.password_texts import goauth as spell_password
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Step
from brokers.core.values import BrokerLink
from kernel.core.errors import FieldError

_BATCH = 50
_SCHEMA = (
    "The database has not the tables mqtt_member, mqtt_role_acl and mqtt_own_acl, or our account may not use them: "
    "make them as docs/howto/mosquitto.md tells, and grant SELECT, INSERT and DELETE on them. Where devices log in "
    "with passwords, so for mqtt_password (docs/howto/passwords.md)."
)


class GoAuthPostgresqlAdapter(PolicyAlone):
    """Writes three tables, and one of passwords where the broker takes them."""

    capabilities: ClassVar[Capabilities] = replace(goauth_postgresql.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = GoAuthConnection.of(link.connection)
        self._has_passwords = link.broker.takes_passwords is not None
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def render(self, desired: DesiredState) -> Rendering:
        """The rows."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """The rows that there are; with `only` those of these users, and those of all roles."""
        with session(self._connection, wanted=_SCHEMA) as database, database.transaction():
            found = _rows(database, only)
            passwords = _passwords(database, only) if self._has_passwords else {}
        return AppliedState(artifact=to_artifact(found), only=only, passwords=passwords)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Users and roles whose rows differ."""
        wanted, present = self._compile(desired)[0], _parsed(applied)
        steps = tuple(map(_step, changes(wanted, present, whole=desired.only is None)))
        return (*steps, *password_steps(texts_in(desired, spell_password), applied.passwords))

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        return effect(_parsed(applied), self._compile(desired)[0])

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Each in a transaction of its own."""
        with session(self._connection, wanted=_SCHEMA) as database:
            for step in paced(steps, between, every=_BATCH):
                with database.transaction():
                    _make(database, step)

    def disconnect(self, principal: Principal) -> None:
        """None: the plugin closes no session."""
        del principal

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether the plugin would let it pass."""
        return emulate_rows(parse(rendering.artifact), principal, request)


def _compiled(desired: DesiredState) -> tuple[GoAuthRows, Rendering]:
    rendering = goauth_postgresql.render(desired.subjects)
    return parse(rendering.artifact), replace(rendering, passwords=fingerprints(texts_in(desired, spell_password)))


def _rows(database: Connection[Any], only: frozenset[str] | None) -> GoAuthRows:
    names = {"only": None if only is None else sorted(only)}
    members = "SELECT username, roles FROM mqtt_member WHERE %(only)s::text[] IS NULL OR username = ANY(%(only)s)"
    own = "SELECT username, topic, rw FROM mqtt_own_acl WHERE %(only)s::text[] IS NULL OR username = ANY(%(only)s)"
    return GoAuthRows(
        members=dict(database.execute(members, names).fetchall()),
        roles=frozenset(Row(*row) for row in database.execute("SELECT roles, topic, rw FROM mqtt_role_acl")),
        own=frozenset(Row(*row) for row in database.execute(own, names)),
    )


def _passwords(database: Connection[Any], only: frozenset[str] | None) -> dict[str, str]:
    query = "SELECT username, password_hash FROM mqtt_password WHERE %s::text[] IS NULL OR username = ANY(%s)"
    names = None if only is None else sorted(only)
    return fingerprints(dict(database.execute(query, [names, names]).fetchall()))


def _make(database: Connection[Any], step: Step) -> None:
    """Puts the rows of a user or of a set of roles, or a password, in place of those that there were."""
    if step.kind in {SET, TAKE}:
        database.execute("DELETE FROM mqtt_password WHERE username = %s", [step.target])
        if step.kind == SET:
            database.execute("INSERT INTO mqtt_password VALUES (%s, %s)", [step.target, step.payload])
        return
    kept = json.loads(step.payload)
    table, column = ("mqtt_own_acl", "username") if step.kind == "set-user" else ("mqtt_role_acl", "roles")
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    database.execute(sql.SQL("DELETE FROM {table} WHERE {column} = %s").format(**names), [step.target])
    added = sql.SQL("INSERT INTO {table} ({column}, topic, rw) VALUES (%s, %s, %s)").format(**names)
    with database.cursor() as cursor:
        cursor.executemany(added, [(step.target, topic, rw) for topic, rw in kept["rows"]])
    if step.kind == "set-user":
        database.execute("DELETE FROM mqtt_member WHERE username = %s", [step.target])
        if kept["roles"] is not None:
            database.execute("INSERT INTO mqtt_member (username, roles) VALUES (%s, %s)", [step.target, kept["roles"]])


def _parsed(applied: AppliedState) -> GoAuthRows:
    nothing = GoAuthRows(members={}, roles=frozenset(), own=frozenset())
    return parse(applied.artifact) if applied.artifact else nothing


def _step(change: RowsChange) -> Step:
    payload = json.dumps({"rows": sorted(change.rows), "roles": change.roles})
    return Step(kind=change.kind, target=change.name, summary=change.summary, payload=payload)
