"""The adapter on vmq_auth_acl in a real PostgreSQL, asked as vmq_diversity's script asks; VerneMQ's API is a stand-in.

The schema and the query are those of `postgres_cockroach_commons.lua`, the API's answers those of `vmq_info_cli`:
VerneMQ itself can not be installed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from brokers import queries, services
from brokers.adapters.postgresql import BoundedConnection, TextNotKept
from brokers.adapters.vernemq_postgresql import VernemqPostgresqlAdapter
from brokers.core.password_texts import vernemq
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, EffectLine, SessionNotClosed, Standing
from brokers.core.values import AdapterKind, SyncState
from brokers.services.checking import DRIFT_STANDS
from devices import services as devices
from devices.core.password_verifier import PasswordVerifier, new_password, new_salt
from kernel.core.clock import utc_now
from kernel.core.journal import StepState
from tests.brokers.api.test_disconnect import register
from tests.brokers.bringing import all_of, bring_to, bring_what_is_due, only
from tests.brokers.fleet import Fleet
from tests.brokers.links import broker_link
from tests.brokers.stand_in import JsonAnswers, stand_in
from tests.brokers.subjects import ALL, DOWN, UP, subject
from tests.brokers.test_tasks import run_due, steps_of
from tests.cast import ADA

pytestmark = pytest.mark.e2e

SCHEMA = """CREATE TABLE vmq_auth_acl (
    mountpoint character varying(10) NOT NULL,
    client_id character varying(128) NOT NULL,
    username character varying(128) NOT NULL,
    password character varying(128),
    publish_acl json,
    subscribe_acl json,
    CONSTRAINT vmq_auth_acl_primary_key PRIMARY KEY (mountpoint, client_id, username))"""
REGISTER = """SELECT publish_acl::TEXT, subscribe_acl::TEXT, password AS passhash, client_id FROM vmq_auth_acl
  WHERE mountpoint = %s AND (client_id = %s OR client_id = '*') AND username = %s"""
MARK = "$gatehouse/nothing"


@dataclass
class Api:
    """VerneMQ's API as far as it ends sessions: which were ended, and what stood in the table then."""

    ended: list[str] = field(default_factory=list)
    held: list[set[str]] = field(default_factory=list)
    broken: bool = False
    port: int = 0


@dataclass(frozen=True)
class Database:
    """VerneMQ's database, and its API if it is asked."""

    url: str
    api: Api

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            found = session.execute(query.encode(), values)
            return found.fetchall() if found.description else []

    def patterns(self, name: str) -> set[str] | None:
        """What the client of that name and id may do, as the script reads it; None if it is not let in."""
        rows = self.ask(REGISTER, "", name, name)
        if not rows:
            return None
        publish, subscribe, *_ = rows[0]
        return {item["pattern"] for column in (publish, subscribe) for item in json.loads(str(column))}

    def members(self) -> dict[str, object]:
        told = conninfo_to_dict(self.url)
        return {
            "host": told["host"],
            "port": int(str(told["port"])),
            "database": told["dbname"],
            "username": told["user"],
            "password": "trusted",
            "api": {"host": "127.0.0.1", "port": self.api.port, "api_key": "k"},
        }

    def adapter(
        self, *, api: bool = True, takes_passwords: bool | None = None, **changed: object
    ) -> VernemqPostgresqlAdapter:
        members = {name: value for name, value in self.members().items() if api or name != "api"}
        assert not VernemqPostgresqlAdapter.connection_errors(members | changed)
        link = broker_link(AdapterKind.VERNEMQ_POSTGRESQL, members | changed, takes_passwords=takes_passwords)
        return VernemqPostgresqlAdapter(link=link)


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    state = Api()
    made = Database(postgresql_url, state)
    made.ask(SCHEMA)

    class Answers(JsonAnswers):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            flags = parse_qs(asked.query, keep_blank_values=True)
            assert asked.path == "/api/v1/session/disconnect"
            assert self.headers["Authorization"] == "Basic azo="  # printf 'k:' | base64
            assert set(flags) == {"client-id", "--cleanup"}
            [client] = flags["client-id"]
            if not state.broken:
                state.ended.append(client)
                state.held.append(made.patterns(client) or set())
            self.answer(500 if state.broken else 200, {"type": "text", "text": "Done"})

    with stand_in(Answers) as state.port:
        yield made


def test_script_reads_what_policy_gives_and_passwords_stay(database: Database) -> None:
    adapter: BrokerAdapter = database.adapter()  # the type checker compares
    assert not adapter.read().foreign
    bring_to(database.adapter(), all_of(subject("alpha", UP, DOWN), subject("beta", UP, standing=Standing.BARRED)))
    down = {"north/alpha/down/#", "$share/+/north/alpha/down/#"}
    assert database.patterns("alpha") == {"north/alpha/up/#", MARK, *down}
    assert database.patterns("beta") is None
    database.ask("UPDATE vmq_auth_acl SET password = 'set by hand'")
    bring_to(database.adapter(), only(subject("alpha", UP)))
    assert database.ask("SELECT password FROM vmq_auth_acl") == [("set by hand",)]


def test_script_lets_in_who_has_the_password_and_by_the_broker_s_word_alone(database: Database) -> None:
    database.ask("CREATE EXTENSION pgcrypto")
    asked = "SELECT username FROM vmq_auth_acl WHERE username = %s AND password = crypt(%s, password)"  # as the script
    adapter, text = database.adapter(takes_passwords=True), new_password()
    verifier = PasswordVerifier.of(text, salt=new_salt())
    desired = all_of(replace(subject("alpha", UP), password=verifier), subject("beta", UP))
    assert bring_to(adapter, desired)[-1] == ("set-password", "alpha")
    assert database.ask(asked, "alpha", text) == [("alpha",)]
    assert database.ask(asked, "alpha", text[1:]) == database.ask(asked, "beta", text) == []
    database.ask("UPDATE vmq_auth_acl SET password = 'by hand'")
    assert bring_to(adapter, desired) == [("take-password", "beta"), ("set-password", "alpha")]
    assert vernemq(verifier) not in f"{adapter.render(desired)}{adapter.read()}"
    barred = only(subject("alpha", standing=Standing.BARRED))
    assert bring_to(adapter, barred) == [("delete-row", "alpha")]
    bring_to(adapter, desired)
    no_more = database.adapter(takes_passwords=False)
    assert bring_to(no_more, all_of(subject("alpha", UP), subject("beta", UP))) == [("take-password", "alpha")]
    assert database.ask("SELECT password FROM vmq_auth_acl") == [(None,), (None,)]


def test_password_of_who_gets_no_row_is_not_waited_for(database: Database) -> None:
    verifier = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    bring_to(database.adapter(takes_passwords=True), all_of(replace(subject("x" * 129, UP), password=verifier)))


def test_session_of_who_loses_something_ends_and_of_who_gains_does_not(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP), subject("gamma", UP)))
    bring_to(
        adapter, all_of(subject("alpha", UP), subject("beta", UP, ALL), subject("gamma", standing=Standing.BARRED))
    )
    assert sorted(database.api.ended) == ["alpha", "gamma"]
    assert not {"north/alpha/down/#", "north/gamma/up/#"} & set().union(*database.api.held)  # nothing to come back to
    assert database.patterns("gamma") is None


def test_session_that_could_not_be_ended_is_ended_the_next_time(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP, DOWN)))
    for desired in (all_of(subject("alpha", UP)), all_of()):
        database.api.broken = True
        with pytest.raises(SessionNotClosed, match="fails at GET session"):
            adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
        assert "north/alpha/down/#" not in (database.patterns("alpha") or set())
        database.api.broken = False
        assert len(bring_to(adapter, desired)) == 1
    assert database.api.ended == ["alpha", "alpha"]
    assert database.patterns("alpha") is None


def test_api_that_is_away_keeps_nobody_from_losing_what_is_taken_away(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP, DOWN), subject("gone", UP), subject("z", DOWN)))
    desired = all_of(subject("alpha", UP, ALL), subject("beta", UP), subject("z", UP))
    database.api.broken = True
    with pytest.raises(SessionNotClosed):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    ending = {MARK, "$gatehouse/ending"}
    assert database.patterns("beta") == {"north/beta/up/#", *ending}
    assert database.patterns("z") == {"north/z/up/#", *ending}
    assert database.patterns("gone") == ending
    assert "north/all/#" in (database.patterns("alpha") or set())
    with pytest.raises(SessionNotClosed):
        adapter.disconnect(subject("beta").principal)
    database.api.broken = False
    bring_to(adapter, desired)
    assert sorted(database.api.ended) == ["beta", "gone", "z"]


def test_batch_that_breaks_off_anywhere_has_taken_before_it_gave_and_is_made_good(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """alpha gains, gone has no device any more, zulu loses a topic and yankee its password."""
    password = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    yankee = replace(subject("yankee", UP), password=password)
    before = all_of(subject("alpha", UP), subject("gone", UP), yankee, subject("zulu", UP, DOWN))
    desired = all_of(subject("alpha", UP, ALL), subject("yankee", UP), subject("zulu", UP))
    adapter, statements, is_whole = database.adapter(takes_passwords=True), 0, False
    kept = "SELECT password FROM vmq_auth_acl WHERE username = 'yankee'"
    executed, left = BoundedConnection.execute, -1

    def breaking(*args: Any, **named: Any) -> object:
        nonlocal left
        if left == 0:
            raise BrokerUnreachable("The connection is lost.")
        left -= 1
        return executed(*args, **named)

    monkeypatch.setattr(BoundedConnection, "execute", breaking)
    while not is_whole:
        bring_to(adapter, before)
        steps = adapter.plan(desired, adapter.read())
        database.api.ended.clear()
        left = statements
        try:
            adapter.apply(steps, between=lambda: None)
            is_whole = True
        except BrokerUnreachable:
            statements += 1
        left = -1
        if "north/all/#" in (database.patterns("alpha") or set()):
            assert "north/zulu/down/#" not in (database.patterns("zulu") or set())
            assert "north/gone/up/#" not in (database.patterns("gone") or set())
            assert database.ask(kept) == [(None,)]
        bring_to(adapter, desired)
        assert database.patterns("zulu") == {"north/zulu/up/#", MARK}
        assert database.patterns("gone") is None
        assert {*database.api.ended} == {"gone", "zulu"}
    assert statements > len(steps)


def test_text_that_the_database_does_not_take_holds_up_nobody_else(database: Database) -> None:
    database.ask("ALTER TABLE vmq_auth_acl ALTER username TYPE varchar(20)")
    adapter, desired = database.adapter(), all_of(subject("a" * 21, UP), subject("beta", UP))
    for _ in range(2):
        with pytest.raises(TextNotKept, match="does not take a text"):
            adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
        assert database.patterns("beta") == {"north/beta/up/#", MARK}
        assert database.patterns("a" * 21) is None


def test_row_that_is_not_ours_is_never_touched_and_holds_up_nobody_else(database: Database) -> None:
    adapter = database.adapter(takes_passwords=True)
    bring_to(adapter, all_of(subject("alpha", UP), subject("chief", UP), subject("beta", UP)))
    database.ask("INSERT INTO vmq_auth_acl VALUES ('', 'other', 'chief', 'h', '[{\"pattern\": \"#\"}]', NULL)")
    assert adapter.read().foreign == {"chief"}
    chief = replace(subject("chief", UP), password=PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm"))
    desired = all_of(subject("alpha", UP, DOWN), chief, subject("beta", standing=Standing.BARRED))
    assert "has a row of 'chief'" in bring_what_is_due(adapter, desired)
    assert "north/alpha/down/#" in (database.patterns("alpha") or set())
    assert database.patterns("chief") is database.patterns("beta") is None  # ours is gone, as if it were barred
    assert sorted(database.api.ended) == ["beta", "chief"]
    barred = only(subject("chief", standing=Standing.BARRED))
    assert "has a row of 'chief'" in bring_what_is_due(adapter, barred)  # the row would let in who is barred
    bring_what_is_due(adapter, all_of(chief))
    assert database.ask("SELECT username, client_id, password FROM vmq_auth_acl") == [("chief", "other", "h")]


def test_what_was_changed_by_hand_is_seen_and_put_right(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP))
    bring_to(adapter, desired)
    added = (
        {"pattern": "#"},
        {"pattern": "a", "modifiers": {"topic": "b"}},
        {"pattern": "north/alpha/down/#", "max_qos": "many"},
        7,
    )
    for item in added:
        database.ask("UPDATE vmq_auth_acl SET subscribe_acl = %s", json.dumps([{"pattern": MARK}, item]))
        assert bring_to(adapter, desired) == [("set-row", "alpha")]
        assert database.patterns("alpha") == {"north/alpha/up/#", MARK}
    assert database.api.ended == ["alpha"] * len(added)


def test_names_that_look_like_something_else_are_names(database: Database) -> None:
    adapter, names = database.adapter(), ["a/b", "a b&c=d", "a'b", "%2F", "--cleanup", "x" * 128]
    bring_to(adapter, all_of(subject("alpha", UP), *(subject(name, DOWN) for name in names)))
    for name in names:
        bring_to(adapter, only(subject(name, standing=Standing.BARRED)))
        assert adapter.disconnect(subject(name).principal) == -1
    assert database.api.ended == [name for name in names for _ in range(2)]
    assert database.ask("SELECT username FROM vmq_auth_acl") == [("alpha",)]


def test_name_that_would_end_the_sessions_of_others_ends_none(database: Database) -> None:
    adapter, names = database.adapter(), ['x" OR client_id="alpha', "back\\slash", "*", "pümp"]
    assert [adapter.disconnect(subject(name).principal) for name in names] == [None] * 4
    bring_to(adapter, all_of(*(subject(name, UP) for name in names)))
    bring_to(adapter, all_of())
    assert database.api.ended == []


def test_table_that_was_restored_empty_is_filled_again_and_keeps_who_is_barred_out(database: Database) -> None:
    adapter, password = database.adapter(takes_passwords=True), PasswordVerifier.of("k7mw-ace2", salt=new_salt())
    desired = all_of(replace(subject("alpha", UP, DOWN), password=password), subject("beta", standing=Standing.BARRED))
    bring_to(adapter, desired)
    before, columns = adapter.read(), "username, client_id, password, publish_acl::text, subscribe_acl::text"
    held = database.ask(f"SELECT {columns} FROM vmq_auth_acl")
    database.ask("TRUNCATE vmq_auth_acl")

    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    assert bring_to(adapter, desired) == [("set-row", "alpha"), ("set-password", "alpha")]

    assert adapter.read() == before
    assert [row[:2] for row in held] == [("alpha", "alpha")]
    assert database.ask(f"SELECT {columns} FROM vmq_auth_acl") == held
    assert database.patterns("beta") is None


def test_without_the_api_nothing_is_ended_and_that_is_said(database: Database) -> None:
    adapter = database.adapter(api=False)
    bring_to(adapter, all_of(subject("alpha", UP)))
    bring_to(adapter, all_of(subject("alpha", standing=Standing.BARRED)))
    assert database.patterns("alpha") is None
    assert adapter.disconnect(subject("alpha").principal) is None
    assert database.api.ended == []


def test_plan_tells_who_gains_and_who_loses_what(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    found = adapter.effect(all_of(subject("alpha", DOWN)), adapter.read())
    assert EffectLine(auth_id="alpha", action="subscribe", filter="north/alpha/down/#") in found.gain
    assert found.lose == (EffectLine(auth_id="alpha", action="publish", filter="north/alpha/up/#"),)


def test_database_without_the_table_and_an_api_without_a_key_are_said(postgresql_url: str) -> None:
    with pytest.raises(BrokerUnreachable, match="has not the table vmq_auth_acl"):
        Database(postgresql_url, Api()).adapter(api=False).read()
    account = {"host": "::1", "port": 1, "database": "d", "username": "u", "password": "p"}
    errors = VernemqPostgresqlAdapter.connection_errors(account | {"api": {"host": "::1", "port": 1}})
    assert [error.pointer for error in errors] == ["/connection/api/api_key"]
    assert VernemqPostgresqlAdapter.connection_errors(account | {"api": 7})[0].pointer == "/connection/api"


@pytest.mark.django_db(transaction=True)
def test_eviction_whose_session_stays_fails_by_itself_and_a_check_ends_it_once_it_can(
    fleet: Fleet, database: Database
) -> None:
    broker = register(fleet, "hall-9", "vernemq-postgresql", database.members())
    first, second, third = (fleet.enroll(name).id for name in ("p-1", "p-2", "p-3"))
    services.converge(broker=broker, now=utc_now())
    assert "north/p-2/up/#" in (database.patterns("p-2") or set())
    database.ask("INSERT INTO vmq_auth_acl VALUES ('', 'other', 'p-3', 'h', '[]', NULL)")

    database.api.broken = True
    operations = [devices.suspend_device(device=each, actor=ADA, now=utc_now()) for each in (third, first, second)]
    for _ in operations:
        run_due()
    assert [steps_of(each)["broker:hall-9"] for each in operations] == [StepState.PENDING] * 3
    for name in ("p-1", "p-2", "p-3"):
        assert database.patterns(name) in (None, {MARK, "$gatehouse/ending"})
    assert queries.get_broker(id=broker).sync is not SyncState.UNREACHABLE

    database.api.broken = False
    found = services.check_drift(broker=broker, now=utc_now() + 2 * DRIFT_STANDS)
    assert found.differences
    assert sorted(set(database.api.ended)) == ["p-1", "p-2", "p-3"]
    assert [database.patterns(name) for name in ("p-1", "p-2", "p-3")] == [None] * 3
