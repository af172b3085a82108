"""VerneMQ with vmq_diversity, by the rows that it reads from PostgreSQL when somebody connects.

It remembers them until the client disconnects and judges no delivery, so whoever loses something has to connect anew:
with its HTTP API the session is ended, without it that is left to the device. What stands in the rows as password stays
unless the broker takes them from us.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from psycopg import Connection
from psycopg.rows import dict_row

from acl.core.values import Principal, Request
from brokers.adapters.json_api import JsonApi
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.postgresql import session, texts_kept
from brokers.adapters.session_ends import SessionEnds
from brokers.adapters.writing import Latest, Refusals, paced
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import fingerprint, fingerprints, texts_in
from brokers.core.password_texts import vernemq as spell_password
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Step
from brokers.core.taken_names import taken
from brokers.core.values import BrokerLink
from brokers.core.vernemq import postgresql as vernemq_postgresql
from brokers.core.vernemq.changes import OURS, RowChange, changes, effect, is_ours, marked, stored_row
from brokers.core.vernemq.connection import VernemqApi, VernemqConnection, connection_errors
from brokers.core.vernemq.emulator import emulate_rows
from brokers.core.vernemq.postgresql import Row, Rows, parse, to_artifact
from kernel.core.errors import FieldError

_BATCH = 20
_SCHEMA = (
    "The database has not the table vmq_auth_acl, or our account may not use it: make it as docs/howto/vernemq.md "
    "tells, and grant SELECT, INSERT, UPDATE and DELETE on it."
)
_WHY_TAKEN = (
    "The table has a row of {name!r} that Gatehouse did not make: a device of that name has what the row says. "
    "Delete it; set the password in the row that Gatehouse makes."
)
_RIGHTS = "Its API key needs the scope mgmt."


class VernemqPostgresqlAdapter(PolicyAlone):
    """Writes one table, and ends sessions.

    There is no folder for CRLs that both share; VerneMQ's list of sessions leaves out whoever takes longer than 100 ms
    to be asked, and it tells of them by webhook.
    """

    capabilities: ClassVar[Capabilities] = replace(vernemq_postgresql.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = VernemqConnection.of(link.connection)
        self._has_passwords = link.broker.takes_passwords is not None
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def _closes_sessions(self) -> bool:
        return self._connection.api is not None

    def render(self, desired: DesiredState) -> Rendering:
        """The rows."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Our rows there, and whose the others are. The database does not say which version reads it."""
        with session(self._connection, wanted=_SCHEMA) as database:
            found = _rows(database, only)
        ours = [stored_row(columns) for columns in found if is_ours(columns["subscribe_acl"])]
        foreign = frozenset(columns["username"] for columns in found if not is_ours(columns["subscribe_acl"]))
        passwords = _passwords(found) if self._has_passwords else {}
        artifact = to_artifact({row.key: row for row in ours})
        return AppliedState(artifact=artifact, only=only, foreign=foreign, passwords=passwords)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Rows that differ. A name that is taken gets none: what that row says holds, for whoever is barred as well."""
        refused = applied.foreign & {subject.principal.auth_id for subject in desired.subjects}
        wanted = {key: row for key, row in self._compile(desired)[0].items() if row.username not in refused}
        names = {row.username for row in wanted.values()}  # with the row its password goes
        present = {name: held for name, held in applied.passwords.items() if name in names}
        steps = (
            *map(_step, changes(wanted, _parsed(applied))),
            *password_steps(_wanted_passwords(desired, wanted), present),
        )
        return (
            *sorted(steps, key=lambda step: step.kind != TAKE),
            *(taken(name, _WHY_TAKEN.format(name=name)) for name in sorted(refused)),
        )

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        return effect(_parsed(applied), self._compile(desired)[0])

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Each by itself; the session of who loses something ends before the row is as it stays.

        What can not be made of one keeps no other from being made. Raises TextNotKept, SessionNotClosed.
        """
        ends = SessionEnds(self._end_session)
        with session(self._connection, wanted=_SCHEMA) as database, Refusals() as refusals:
            for step in paced(steps, between, every=_BATCH):
                with refusals.aside():
                    self._make(database, step, ends)

    def disconnect(self, principal: Principal) -> int | None:
        """Ends the session of the client id: -1, since VerneMQ does not say whether there was one.

        None without its API, or if that could not be told which client is meant.
        """
        return SessionEnds(self._end_session).end(principal.client_id) if self._can_end(principal.client_id) else None

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether VerneMQ would let it pass."""
        return emulate_rows(parse(rendering.artifact), principal, request)

    def _make(self, database: Connection[Any], step: Step, ends: SessionEnds) -> None:
        if step.kind in {SET, TAKE}:
            _set_password(database, step.target, step.payload if step.kind == SET else None)
            return
        kept = json.loads(step.payload)
        [before] = parse(kept["before"]).values()
        row = next(iter(parse(kept["row"]).values()), None)
        if kept["ends"] and self._can_end(before.client_id):
            empty = replace(before, publish=(), subscribe=())
            _put(database, marked(row or empty, ending=True))
            ends.end(before.client_id)
        if row is None:
            _delete(database, before)
        else:
            _put(database, marked(row))

    def _can_end(self, client_id: str) -> bool:
        """VerneMQ puts the client id into a query of its own between quotes, as it is: no other may be meant by it."""
        plain = all(" " <= character <= "~" and character not in '"\\' for character in client_id)
        return self._connection.api is not None and plain and client_id not in ("", vernemq_postgresql.ANY_CLIENT)

    def _end_session(self, client_id: str) -> int:
        """With what is kept for the client: subscriptions of a session that is kept would go on."""
        if self._connection.api is not None:
            with _api(self._connection.api) as broker:
                broker.ask("GET", f"session/disconnect?client-id={quote(client_id, safe='')}&--cleanup")
        return -1


def _compiled(desired: DesiredState) -> tuple[Rows, Rendering]:
    rendering = vernemq_postgresql.render(desired.subjects)
    rows = parse(rendering.artifact)
    return rows, replace(rendering, passwords=fingerprints(_wanted_passwords(desired, rows)))


def _wanted_passwords(desired: DesiredState, rows: Rows) -> dict[str, str]:
    """The text for each who has a password, and a row that it can stand in."""
    names = {row.username for row in rows.values()}
    return {name: text for name, text in texts_in(desired, spell_password).items() if name in names}


def _parsed(applied: AppliedState) -> Rows:
    return parse(applied.artifact) if applied.artifact else {}


def _api(api: VernemqApi) -> JsonApi:
    return JsonApi(
        of="VerneMQ's API",
        host=api.host,
        port=api.port,
        root="/api/v1",
        rights=_RIGHTS,
        ca_pem=api.ca_pem,
        username=api.api_key,
        password="",
    )


def _rows(database: Connection[Any], only: frozenset[str] | None) -> list[dict[str, Any]]:
    query = (
        "SELECT mountpoint, client_id, username, password, publish_acl, subscribe_acl FROM vmq_auth_acl"
        " WHERE %(only)s::text[] IS NULL OR username = ANY(%(only)s)"
    )
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, {"only": None if only is None else sorted(only)}).fetchall()


def _passwords(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fingerprint of what stands in each name's row of ours."""
    ours = [columns for columns in found if is_ours(columns["subscribe_acl"])]
    return {columns["username"]: fingerprint(columns["password"]) for columns in ours if columns["password"]}


def _set_password(database: Connection[Any], name: str, text: str | None) -> None:
    """In the row of ours of that name: whoever let somebody in by hand meanwhile has a row of its own."""
    database.execute(
        "UPDATE vmq_auth_acl SET password = %s WHERE username = %s AND subscribe_acl::text LIKE %s",
        [text, name, f"%{OURS.pattern}%"],
    )


def _put(database: Connection[Any], row: Row) -> None:
    """Writes the row. What may be too much for the database is its key alone: the rest is JSON in ASCII."""
    [columns] = json.loads(to_artifact({row.key: row}))["vmq_auth_acl"]
    with texts_kept():
        database.execute(
            "INSERT INTO vmq_auth_acl (mountpoint, client_id, username, publish_acl, subscribe_acl)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (mountpoint, client_id, username)"
            " DO UPDATE SET publish_acl = excluded.publish_acl, subscribe_acl = excluded.subscribe_acl",
            [*row.key, json.dumps(columns["publish_acl"]), json.dumps(columns["subscribe_acl"])],
        )


def _delete(database: Connection[Any], row: Row) -> None:
    database.execute("DELETE FROM vmq_auth_acl WHERE mountpoint = %s AND client_id = %s AND username = %s", [*row.key])


def _step(change: RowChange) -> Step:
    row = {} if change.row is None else {change.row.key: change.row}
    payload = {"before": to_artifact({change.before.key: change.before}), "row": to_artifact(row), "ends": change.ends}
    kind = "delete-row" if change.row is None else "set-row"
    return Step(kind=kind, target=change.before.username, summary=change.summary, payload=json.dumps(payload))
