"""The adapter on ESE's SQL realm in a real PostgreSQL and MariaDB; HiveMQ's REST API is a stand-in of its answers.

The schema is that of HiveMQ's scripts for 4.x; HiveMQ itself can not be installed here.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from psycopg.conninfo import conninfo_to_dict

from brokers.adapters.hivemq_database import _OnPostgresql
from brokers.adapters.hivemq_ese import HivemqEseAdapter
from brokers.adapters.mysql import MysqlSession
from brokers.adapters.postgresql import TextNotKept
from brokers.core.ports import (
    AppliedState,
    BrokerAdapter,
    BrokerUnreachable,
    EffectLine,
    SessionNotClosed,
    Standing,
    Step,
)
from brokers.core.taken_names import AccountTaken
from brokers.core.values import AdapterKind
from devices.core.password_verifier import PasswordVerifier
from kernel.core.ids import new_id
from tests.brokers.bringing import all_of, bring_to, bring_what_is_due, only
from tests.brokers.links import broker_link
from tests.brokers.stand_in import JsonAnswers, stand_in
from tests.brokers.subjects import ALL, DOWN, UP, subject
from tests.servers import program, running_mariadb

pytestmark = pytest.mark.e2e

TIMES = "created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()"
SCHEMA = f"""
CREATE TABLE users (id serial PRIMARY KEY, username text UNIQUE NOT NULL, password text,
  password_iterations integer NOT NULL, password_salt text NOT NULL, algorithm varchar(32) NOT NULL, {TIMES});
CREATE TABLE roles (id serial PRIMARY KEY, name text UNIQUE NOT NULL, description text, {TIMES});
CREATE TABLE user_roles (user_id integer NOT NULL REFERENCES users, role_id integer NOT NULL REFERENCES roles, {TIMES},
  PRIMARY KEY (user_id, role_id));
CREATE TABLE permissions (id serial PRIMARY KEY, topic text NOT NULL,
  publish_allowed boolean NOT NULL DEFAULT false, subscribe_allowed boolean NOT NULL DEFAULT false,
  qos_0_allowed boolean NOT NULL DEFAULT false, qos_1_allowed boolean NOT NULL DEFAULT false,
  qos_2_allowed boolean NOT NULL DEFAULT false, retained_msgs_allowed boolean NOT NULL DEFAULT false,
  shared_sub_allowed boolean NOT NULL DEFAULT false, shared_group text, {TIMES});
CREATE INDEX ON permissions (topic);
CREATE TABLE role_permissions (role integer NOT NULL REFERENCES roles,
  permission integer NOT NULL REFERENCES permissions, {TIMES}, PRIMARY KEY (role, permission));
CREATE TABLE user_permissions (user_id integer NOT NULL REFERENCES users,
  permission integer NOT NULL REFERENCES permissions, {TIMES}, PRIMARY KEY (user_id, permission));
"""
MYSQL_TIMES = "created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now() ON UPDATE now()"
IN_MYSQL = {
    TIMES: MYSQL_TIMES,
    "serial PRIMARY KEY": "integer PRIMARY KEY AUTO_INCREMENT",
    "username text": "username varchar(762)",
    "name text": "name varchar(762)",
    "INDEX ON permissions (topic)": "INDEX permissions_topic ON permissions (topic(767))",
    "REFERENCES users": "REFERENCES users (id)",
    "REFERENCES roles": "REFERENCES roles (id)",
    "REFERENCES permissions": "REFERENCES permissions (id)",
}
HELD = """SELECT p.topic, p.publish_allowed FROM users u JOIN user_permissions l ON l.user_id = u.id
  JOIN permissions p ON p.id = l.permission WHERE u.username = %s
  UNION SELECT p.topic, p.publish_allowed FROM users u JOIN user_roles m ON m.user_id = u.id
  JOIN role_permissions l ON l.role = m.role_id JOIN permissions p ON p.id = l.permission WHERE u.username = %s
  ORDER BY 1, 2"""
ACCOUNT = "username, password_iterations, password_salt, algorithm"
NOTHING = ("$gatehouse/nothing", False)


@dataclass
class RestApi:
    """HiveMQ's REST API as far as it ends sessions: who is connected, and what was asked for."""

    connected: set[str] = field(default_factory=set)
    ended: list[str] = field(default_factory=list)
    broken: bool = False
    port: int = 0


@pytest.fixture
def rest() -> Iterator[RestApi]:
    state = RestApi()

    class Answers(JsonAnswers):
        def do_GET(self) -> None:
            client = self.path.rpartition("/")[2]
            document = {"client": {"id": client, "connected": client in state.connected}}
            self.answer(200 if client in state.connected else 404, document)

        def do_DELETE(self) -> None:
            client, _, query = self.path.rpartition("/")[2].partition("?")
            assert query == "preventWillMessage=true"
            if not state.broken:
                state.ended.append(client)
                state.connected.discard(client)
            self.answer(503 if state.broken else 204)

    with stand_in(Answers) as state.port:
        yield state


@dataclass(frozen=True)
class Database:
    """ESE's database in PostgreSQL, and what stands in it."""

    url: str

    def members(self) -> dict[str, object]:
        told = conninfo_to_dict(self.url)
        return {
            "host": told["host"],
            "port": int(str(told["port"])),
            "database": told["dbname"],
            "username": told["user"],
            "password": "trusted",
        }

    def make(self) -> None:
        self.ask(SCHEMA)

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            found = session.execute(query.encode(), values)
            return found.fetchall() if found.description else []

    def give(self, user: str, role: str) -> None:
        """Gives a role by hand."""
        found = "SELECT u.id, r.id FROM users u, roles r WHERE u.username = %s AND r.name = %s"
        self.ask(f"INSERT INTO user_roles (user_id, role_id) {found}", user, role)

    def held(self, name: str) -> list[tuple[object, ...]]:
        """Topic, and whether it is for publishing, of every permission of an account."""
        return self.ask(HELD, name, name)

    def adapter(
        self, rest: RestApi | None = None, *, takes_passwords: bool | None = None, **changed: object
    ) -> HivemqEseAdapter:
        members = self.members()
        if rest is not None:
            members["rest"] = {"host": "127.0.0.1", "port": rest.port}
        assert not HivemqEseAdapter.connection_errors(members | changed)
        link = broker_link(AdapterKind.HIVEMQ_ESE_SQL, members | changed, takes_passwords=takes_passwords)
        return HivemqEseAdapter(link=link)


@dataclass(frozen=True)
class MysqlDatabase(Database):
    """ESE's database in MariaDB; `url` is its name."""

    port: int

    def members(self) -> dict[str, object]:
        account = {"database": self.url, "username": "gatehouse", "password": "trusted"}
        return {"host": "127.0.0.1", "port": self.port, "dialect": "mysql"} | account

    def make(self) -> None:
        schema = SCHEMA
        for written, in_mysql in IN_MYSQL.items():
            schema = schema.replace(written, in_mysql)
        for statement in schema.split(";")[:-1]:
            self.ask(statement)

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        account: dict[str, Any] = {
            "user": "gatehouse",
            "password": "trusted",
            "database": self.url,
            "charset": "utf8mb4",
        }
        with (
            pymysql.connect(host="127.0.0.1", port=self.port, autocommit=True, ssl_disabled=True, **account) as session,
            session.cursor() as cursor,
        ):
            cursor.execute(query, values)
            return list(cursor.fetchall())


@dataclass(frozen=True)
class Mariadb:
    """A server, and the CA of its certificate, which is for localhost."""

    port: int
    ca_pem: str

    def database(self) -> MysqlDatabase:
        """A new, empty database."""
        made = MysqlDatabase(f"t{new_id().hex}", self.port)
        replace(made, url="mysql").ask(f"CREATE DATABASE {made.url}")
        return made


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mariadb]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = self_signed(folder)
    with running_mariadb(certificate=str(certificate), key=str(key)) as port:
        yield Mariadb(port, certificate.read_text())


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Certificate and key for localhost, its own CA."""
    certificate, key = folder / "crt.pem", folder / "key.pem"
    words = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words += [
        "-subj",
        "/CN=db",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    return certificate, key


@pytest.fixture(params=["postgresql", "mysql"])
def empty(request: pytest.FixtureRequest) -> Database:
    """A database without tables."""
    if request.param == "postgresql":
        return Database(request.getfixturevalue("postgresql_url"))
    server: Mariadb = request.getfixturevalue("mariadb")
    return server.database()


@pytest.fixture
def database(empty: Database) -> Database:
    empty.make()
    return empty


@pytest.fixture
def in_mysql(mariadb: Mariadb) -> MysqlDatabase:
    made = mariadb.database()
    made.make()
    return made


def test_adapter_has_all_that_the_port_asks_for(database: Database) -> None:
    adapter: BrokerAdapter = database.adapter()  # the type checker compares
    assert not adapter.read().foreign


def test_accounts_hold_what_policy_gives_and_log_in_without_a_password(database: Database) -> None:
    bring_to(database.adapter(), all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL)))
    assert database.held("alpha") == [NOTHING, ("north/alpha/down/#", False), ("north/alpha/up/#", True)]
    assert database.held("beta") == [NOTHING, ("north/all/#", False), ("north/beta/up/#", True)]
    assert database.ask("SELECT count(*) FROM users WHERE password IS NOT NULL") == [(0,)]


def test_change_of_one_leaves_others_and_no_permission_that_nobody_has(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL)))
    before = database.held("beta")
    assert bring_to(adapter, only(subject("alpha", UP))) == [("set-user", "alpha")]
    assert database.held("alpha") == [NOTHING, ("north/alpha/up/#", True)]
    assert database.held("beta") == before
    held = "SELECT permission FROM role_permissions UNION SELECT permission FROM user_permissions"
    assert database.ask(f"SELECT topic FROM permissions WHERE id NOT IN ({held})") == []


KEPT = "SELECT password, password_iterations, password_salt, algorithm FROM users WHERE username = %s"


def test_password_stands_in_its_columns_as_hivemq_hashes_it(database: Database) -> None:
    adapter = database.adapter(takes_passwords=True)
    verifier = PasswordVerifier.of("device-secret", salt=bytes(range(16)), iterations=100)
    alpha = replace(subject("alpha", UP), password=verifier)
    bring_to(adapter, all_of(alpha, subject("beta", UP)))
    reference = ("frNNrQ9oWTA4QLGoKsAHFW9aAS3yScRq0lLUtvBFhUU=", 100, "AAECAwQFBgcICQoLDA0ODw==", "PKCS5S2")
    assert database.ask(KEPT, "alpha") == [reference]
    assert database.ask(KEPT, "beta") == [(None, 0, "", "PKCS5S2")]
    database.ask("UPDATE users SET password = 'by hand', algorithm = 'PLAIN'")
    assert adapter.plan(only(alpha), adapter.read(only=frozenset({"alpha"})))[0].kind == "set-password"
    bring_to(adapter, all_of(alpha, subject("beta", UP)))
    assert (database.ask(KEPT, "alpha"), database.ask(KEPT, "beta")[0][0]) == ([reference], None)
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert database.ask(KEPT, "alpha")[0][0] is None


def test_passwords_of_others_are_left_alone(database: Database) -> None:
    database.ask(f"INSERT INTO users (password, {ACCOUNT}) VALUES ('theirs', 'chief', 1, '', 'PKCS5S2')")
    bring_to(database.adapter(takes_passwords=False), all_of(subject("alpha", UP)))
    assert database.ask(KEPT, "chief")[0][0] == "theirs"


def test_barred_account_stays_with_nothing_and_no_password(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    database.ask("UPDATE users SET password = 'by hand' WHERE username = 'alpha'")
    assert adapter.plan(all_of(subject("alpha", UP)), adapter.read()) == ()  # passwords are not ours to judge
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert database.held("alpha") == [NOTHING]
    assert database.ask("SELECT password FROM users WHERE username = 'alpha'") == [(None,)]


def test_account_of_nobody_goes_and_the_roles_that_nobody_has_with_it(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", ALL)))
    kinds = bring_to(adapter, all_of(subject("alpha", UP)))
    assert ("delete-user", "beta") in kinds
    assert database.ask("SELECT username FROM users") == [("alpha",)]
    assert database.ask("SELECT name FROM roles") == [("gh.nothing",)]


def test_what_was_changed_by_hand_is_seen_and_put_right(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP), subject("beta", ALL))
    bring_to(adapter, desired)
    database.ask("INSERT INTO permissions (topic, subscribe_allowed, qos_0_allowed) VALUES ('#', true, true)")
    database.ask(
        "INSERT INTO user_permissions (user_id, permission) SELECT u.id, p.id FROM users u, permissions p"
        " WHERE u.username = 'alpha' AND p.topic = '#'"
    )
    database.ask("INSERT INTO roles (name) VALUES ('boss')")
    database.ask(
        "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r WHERE r.name = 'boss'"
    )
    assert bring_to(adapter, desired) == [("set-user", "alpha"), ("set-user", "beta")]
    assert database.held("alpha") == [NOTHING, ("north/alpha/up/#", True)]
    assert database.ask("SELECT count(*) FROM roles WHERE name = 'boss'") == [(1,)]  # it is not ours


def test_realm_that_was_restored_empty_is_filled_again_and_keeps_who_is_barred_out(database: Database) -> None:
    adapter, verifier = database.adapter(takes_passwords=True), PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    alpha = replace(subject("alpha", UP, DOWN), password=verifier)
    desired = all_of(alpha, subject("beta", standing=Standing.BARRED))
    bring_to(adapter, desired)
    before, held = adapter.read(), database.held("alpha")
    passwords = "SELECT username, password FROM users ORDER BY username"
    kept = database.ask(passwords)
    for table in ("user_permissions", "user_roles", "role_permissions", "permissions", "users", "roles"):
        database.ask(f"DELETE FROM {table}")

    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    bring_to(adapter, desired)

    assert (adapter.read(), database.held("alpha"), database.ask(passwords)) == (before, held, kept)
    assert kept[1] == ("beta", None)
    assert database.held("beta") == [NOTHING]


def test_account_that_is_not_ours_is_never_touched_and_said(database: Database) -> None:
    database.ask(
        "INSERT INTO users (username, password_iterations, password_salt, algorithm) VALUES ('chief', 0, '', 'X')"
    )
    adapter = database.adapter()
    assert adapter.read().foreign == {"chief"}
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    desired = all_of(subject("alpha", UP, DOWN), subject("beta", standing=Standing.BARRED), subject("chief", UP))
    assert "has the account 'chief'" in bring_what_is_due(adapter, desired)  # and nobody else waits for it
    assert database.held("alpha") == [NOTHING, ("north/alpha/down/#", False), ("north/alpha/up/#", True)]
    assert database.held("beta") == [NOTHING]
    barred = only(subject("chief", standing=Standing.BARRED))
    assert "has the account 'chief'" in bring_what_is_due(adapter, barred)  # it is not barred by us
    assert database.held("chief") == []
    database.give("chief", "gh.nothing")
    bring_to(adapter, only(subject("chief", UP)))
    assert database.held("chief") == [NOTHING, ("north/chief/up/#", True)]


def test_session_of_who_loses_something_ends_and_of_who_gains_does_not(database: Database, rest: RestApi) -> None:
    adapter = database.adapter(rest)
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP)))
    rest.connected |= {"alpha", "beta"}
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP, DOWN)))
    assert rest.ended == ["alpha"]


def test_role_that_was_widened_by_hand_is_taken_back_from_who_is_connected(database: Database, rest: RestApi) -> None:
    adapter, desired = database.adapter(rest), all_of(subject("alpha", ALL), subject("beta", DOWN))
    bring_to(adapter, desired)
    rest.connected |= {"alpha", "beta"}
    widen_by_hand(database, "alpha")
    assert ("#", True) in database.held("alpha")
    bring_to(adapter, desired)
    assert ("#", True) not in database.held("alpha")
    assert "alpha" in rest.ended


@pytest.mark.parametrize("name", ["a/b", "..x", "%2F", "a'b\"c", "ä泵😀", "x" * 255, "gh.nothing", "{}"])
def test_names_that_look_like_something_else_are_names(database: Database, rest: RestApi, name: str) -> None:
    adapter = database.adapter(rest)
    bring_to(adapter, all_of(subject("alpha", UP), subject(name, UP, DOWN)))
    barred = subject(name, standing=Standing.BARRED)
    bring_to(adapter, only(barred))
    assert adapter.disconnect(barred.principal) == 0
    assert database.held(name) in ([NOTHING], [])
    assert bring_to(adapter, only(subject("alpha", standing=Standing.ABSENT)))


def test_session_that_could_not_be_ended_is_ended_the_next_time(database: Database, rest: RestApi) -> None:
    adapter = database.adapter(rest)
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP, DOWN), subject("c", UP), subject("d")))
    rest.broken, desired = True, all_of(subject("alpha", UP), subject("beta"), subject("c", UP, ALL))
    with pytest.raises(SessionNotClosed, match="fails at DELETE mqtt"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    assert database.held("alpha") == [NOTHING, ("north/alpha/up/#", True)]  # and whoever comes behind does not wait
    assert database.held("beta") == database.held("d") == [NOTHING]
    assert ("north/all/#", False) in database.held("c")
    with pytest.raises(SessionNotClosed):
        adapter.disconnect(subject("alpha").principal)
    rest.broken = False
    assert bring_to(adapter, desired) == [("delete-user", "d"), ("set-user", "alpha"), ("set-user", "beta")]
    assert rest.ended == ["d", "alpha", "beta"]


def widen_by_hand(database: Database, name: str) -> None:
    """Whoever has that account's role besides the one of all may publish everything."""
    for qos in ("qos_0_allowed", "qos_1_allowed"):
        database.ask(f"INSERT INTO permissions (topic, publish_allowed, {qos}) VALUES ('#', true, true)")
    database.ask(
        "INSERT INTO role_permissions (role, permission) SELECT r.id, p.id FROM users u JOIN user_roles m"
        " ON m.user_id = u.id JOIN roles r ON r.id = m.role_id, permissions p"
        " WHERE u.username = %s AND r.name <> 'gh.nothing' AND p.topic = '#'",
        name,
    )


class Broken(BrokerUnreachable):
    """What a test breaks off with."""


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the database break off behind so many statements."""
    left = 0

    def breaking(execute: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **named: object) -> object:
            nonlocal left
            if left == 0:
                raise Broken("The connection is lost.")
            left -= 1
            return execute(*args, **named)

        return counted

    for kind in (_OnPostgresql, MysqlSession):
        monkeypatch.setattr(kind, "execute", breaking(kind.execute))

    def after(statements: int) -> None:
        nonlocal left
        left = statements

    return after


def test_batch_that_breaks_off_anywhere_has_taken_before_it_gave_and_is_made_good(
    database: Database, rest: RestApi, breaks: Callable[[int], None]
) -> None:
    """alpha gains; beta lost what somebody gave its role; gone has no device any more, zulu loses a topic."""
    before = all_of(subject("alpha", UP), subject("beta", ALL), subject("gone", UP), subject("zulu", UP, DOWN))
    desired = all_of(subject("alpha", UP, ALL), subject("beta", ALL), subject("zulu", UP))
    adapter, statements, is_whole = database.adapter(rest), 0, False
    gain, lost = ("north/all/#", False), {"beta": ("#", True), "zulu": ("north/zulu/down/#", False)}
    while not is_whole:
        breaks(1_000_000)
        bring_to(adapter, before)
        widen_by_hand(database, "beta")
        steps = adapter.plan(desired, adapter.read())
        rest.ended.clear()
        breaks(statements)
        try:
            adapter.apply(steps, between=lambda: None)
            is_whole = True
        except Broken:
            statements += 1
        breaks(1_000_000)
        assert ("#", True) not in database.held("alpha")
        if gain in database.held("alpha"):
            assert not any(right in database.held(name) for name, right in lost.items())
            assert database.held("gone") in ([], [NOTHING])
        bring_to(adapter, desired)
        assert {name: database.held(name) for name in ("beta", "zulu", "gone")} == {
            "beta": [NOTHING, gain],
            "zulu": [NOTHING, ("north/zulu/up/#", True)],
            "gone": [],
        }
        assert gain in database.held("alpha")
        assert {"beta", "gone", "zulu"} <= {*rest.ended}
        assert "alpha" not in rest.ended
    assert statements > len(steps)


def test_text_that_the_database_does_not_take_holds_up_nobody_else(database: Database, rest: RestApi) -> None:
    adapter, name = database.adapter(rest), "a-name-that-is-long"
    bring_to(adapter, all_of(subject(name, ALL), subject("b", UP, DOWN)))
    mysql = isinstance(database, MysqlDatabase)
    database.ask(f"ALTER TABLE permissions {'MODIFY topic' if mysql else 'ALTER topic TYPE'} varchar(20)")
    desired = all_of(subject(name, UP), subject("b", UP, ALL), subject("c", ALL))
    planned = adapter.plan(desired, adapter.read())
    assert [step.target for step in planned if step.kind == "set-user"] == [name, "b", "c"]
    for _ in range(2):
        with pytest.raises(TextNotKept, match="does not take a text"):
            adapter.apply(planned, between=lambda: None)
        assert database.held(name) == [NOTHING]  # what it lost is gone
        assert database.held("b") == [NOTHING, ("north/all/#", False), ("north/b/up/#", True)]
        assert database.held("c") == [NOTHING, ("north/all/#", False)]
        planned = adapter.plan(desired, adapter.read())
        assert [step.target for step in planned] == [name]
    assert rest.ended == [name, "b"]


def test_disconnecting_tells_whether_somebody_was_there_and_whether_it_is_possible(
    database: Database, rest: RestApi
) -> None:
    alpha = subject("alpha", UP).principal
    rest.connected.add("alpha")
    adapter = database.adapter(rest)
    assert [adapter.disconnect(alpha), adapter.disconnect(alpha)] == [1, 0]
    assert database.adapter().disconnect(alpha) is None


def test_plan_tells_who_gains_and_who_loses_what(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    found = adapter.effect(all_of(subject("alpha", DOWN)), adapter.read())
    assert found.gain == (EffectLine(auth_id="alpha", action="subscribe", filter="north/alpha/down/#"),)
    assert found.lose == (EffectLine(auth_id="alpha", action="publish", filter="north/alpha/up/#"),)


def test_database_without_the_tables_and_one_that_is_not_there_are_said(empty: Database) -> None:
    with pytest.raises(BrokerUnreachable, match="has not the tables"):
        empty.adapter().read()
    with pytest.raises(BrokerUnreachable, match="does not answer as it should"):
        empty.adapter(database="nowhere").read()


@pytest.mark.parametrize("dialect", ["mssql", "MYSQL", 5, ["mysql"], {}, "", True])
def test_dialect_that_there_is_not_is_refused(dialect: object) -> None:
    members = {"host": "127.0.0.1", "port": 3306, "database": "d", "username": "u", "password": "p"}
    errors = HivemqEseAdapter.connection_errors(members | {"dialect": dialect})
    assert [(error.pointer, error.code) for error in errors] == [("/connection/dialect", "invalid-dialect")]


@pytest.mark.parametrize("name", ["PUMP-1", "pümp-1", "pump-1 "])
def test_name_that_mysql_takes_for_anothers_gets_nothing_of_it(in_mysql: MysqlDatabase, name: str) -> None:
    adapter, desired = in_mysql.adapter(takes_passwords=True), only(subject(name, DOWN))
    bring_to(adapter, all_of(subject("pump-1", UP)))
    in_mysql.ask("UPDATE users SET password = 'kept'")
    assert "for that name" in bring_what_is_due(adapter, desired)
    steps = adapter.plan(desired, AppliedState(artifact="", only=desired.only))  # as if it came in between
    with pytest.raises(AccountTaken, match="'pump-1'"):
        adapter.apply([step for step in steps if step.target == name], between=lambda: None)
    adapter.apply([Step(kind="take-password", target=name, summary="")], between=lambda: None)
    assert bring_to(adapter, only(subject(name, standing=Standing.ABSENT))) == []
    assert in_mysql.ask(KEPT, "pump-1")[0][0] == "kept"
    assert in_mysql.ask("SELECT username FROM users") == [("pump-1",)]
    assert [topic for topic, _ in in_mysql.held("pump-1")] == [NOTHING[0], "north/pump-1/up/#"]


def test_name_in_mysql_is_free_once_who_has_one_alike_is_gone(in_mysql: MysqlDatabase) -> None:
    adapter = in_mysql.adapter()
    bring_to(adapter, all_of(subject("pump-1", UP)))
    bring_to(adapter, all_of(subject("Pump-1", UP)))
    assert in_mysql.ask("SELECT username FROM users") == [("Pump-1",)]


def test_foreign_account_and_role_of_names_alike_are_left_alone_in_mysql(in_mysql: MysqlDatabase) -> None:
    in_mysql.ask(f"INSERT INTO users ({ACCOUNT}) VALUES ('Chief', 0, '', 'X')")
    adapter = in_mysql.adapter()
    assert "'Chief'" in bring_what_is_due(adapter, all_of(subject("chief", UP), subject("beta", UP)))
    assert in_mysql.held("beta") == [NOTHING, ("north/beta/up/#", True)]
    bring_to(adapter, all_of())
    in_mysql.ask("DELETE FROM role_permissions")
    in_mysql.ask("UPDATE roles SET name = 'GH.Nothing'")
    with pytest.raises(AccountTaken, match=r"'GH\.Nothing'"):
        bring_to(adapter, all_of(subject("alpha", UP)))
    assert in_mysql.held("Chief") == in_mysql.held("alpha") == []


def test_topics_that_mysql_takes_for_one_are_two(in_mysql: MysqlDatabase) -> None:
    in_mysql.ask(
        "INSERT INTO permissions (topic, publish_allowed, qos_0_allowed, qos_1_allowed, qos_2_allowed,"
        " retained_msgs_allowed, shared_group) VALUES ('NORTH/alpha/up/#', true, true, true, true, true, '')"
    )
    bring_to(in_mysql.adapter(), all_of(subject("alpha", UP)))
    assert ("north/alpha/up/#", True) in in_mysql.held("alpha")


def test_plan_in_mysql_warns_unless_the_collation_compares_octets(in_mysql: MysqlDatabase) -> None:
    adapter, desired = in_mysql.adapter(), all_of(subject("alpha", UP))
    assert "PUMP-1 of a CA" in adapter.effect(desired, adapter.read()).warnings[-1]
    for collation, warnings in (("utf8mb4_bin", 1), ("utf8mb4_nopad_bin", 0)):
        in_mysql.ask(f"ALTER TABLE users MODIFY username varchar(762) COLLATE {collation} NOT NULL")
        assert len(adapter.effect(desired, adapter.read()).warnings) == warnings
    bring_to(adapter, all_of(subject("alpha", UP)))
    bring_to(adapter, only(subject("ALPHA", DOWN)))
    assert in_mysql.held("ALPHA") == [NOTHING, ("north/ALPHA/down/#", False)]


def test_mysql_is_spoken_to_over_verified_tls_or_not_at_all(mariadb: Mariadb, tmp_path: Path) -> None:
    made = mariadb.database()
    made.make()
    assert not made.adapter(host="localhost", ca_pem=mariadb.ca_pem).read().foreign
    other = self_signed(tmp_path)[0].read_text()
    for host, ca_pem in (("127.0.0.1", mariadb.ca_pem), ("localhost", other)):
        with pytest.raises(BrokerUnreachable, match="certificate verify failed"):
            made.adapter(host=host, ca_pem=ca_pem).read()


def test_rights_that_the_documentation_names_are_enough_in_mysql_and_fewer_are_said(in_mysql: MysqlDatabase) -> None:
    account, secret = in_mysql.url[:16], "s3cret-ä"
    in_mysql.ask(f"CREATE USER {account}@'127.0.0.1' IDENTIFIED BY '{secret}'")
    adapter = in_mysql.adapter(username=account, password=secret)
    tables = ("users", "roles", "permissions", "user_roles", "user_permissions", "role_permissions")
    for table in tables:
        in_mysql.ask(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {account}@'127.0.0.1'")
    bring_to(adapter, all_of(subject("alpha", UP)))
    bring_to(adapter, all_of(subject("beta", UP)))
    in_mysql.ask(f"REVOKE SELECT ON roles FROM {account}@'127.0.0.1'")
    with pytest.raises(BrokerUnreachable, match="has not the tables"):
        adapter.read()
    with pytest.raises(BrokerUnreachable, match="Access denied") as refused:
        in_mysql.adapter(username=account, password="wr0ng-pass").read()
    assert "wr0ng-pass" not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_lock_that_somebody_holds_is_waited_for_and_then_said(in_mysql: MysqlDatabase) -> None:
    adapter = in_mysql.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    in_mysql.ask("SET GLOBAL innodb_lock_wait_timeout = 0")
    account: dict[str, Any] = {"user": "gatehouse", "password": "trusted", "database": in_mysql.url}
    with pymysql.connect(host="127.0.0.1", port=in_mysql.port, ssl_disabled=True, **account) as session:
        session.cursor().execute("SELECT id FROM users FOR UPDATE")
        with pytest.raises(BrokerUnreachable, match="Lock wait timeout"):
            bring_to(adapter, all_of(subject("alpha", UP, DOWN)))
    in_mysql.ask("SET GLOBAL innodb_lock_wait_timeout = 50")
    assert bring_to(adapter, all_of(subject("alpha", UP, DOWN))) == [("set-user", "alpha")]


@pytest.mark.parametrize(
    "greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x00\x00\x00\x0a8.0\x00", b"\x00" * 64]
)
def test_who_speaks_as_no_mysql_does_is_said(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def answer() -> None:
            with server.accept()[0] as link:
                link.sendall(greeting)

        thread = threading.Thread(target=answer)
        thread.start()
        there = MysqlDatabase("d", server.getsockname()[1])
        with pytest.raises(BrokerUnreachable, match="does not answer as it should"):
            there.adapter().read()
        thread.join()


def test_server_that_takes_tls_away_gets_no_password(mariadb: Mariadb) -> None:
    offered = (0x0008_8200).to_bytes(4, "little")  # PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH, and no SSL
    greeting = b"\x0a8.0.36\0" + bytes(4) + b"saltsalt\0" + offered[:2] + b"\x2d\x02\x00" + offered[2:]
    greeting += b"\x15" + bytes(10) + b"saltsaltsalt\0mysql_clear_password\0"
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def answer() -> None:
            with server.accept()[0] as link:
                link.settimeout(60)
                link.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
                heard.append(link.recv(1_000))

        thread = threading.Thread(target=answer)
        thread.start()
        there = MysqlDatabase("d", server.getsockname()[1])
        with pytest.raises(BrokerUnreachable, match="SSL is required"):
            there.adapter(host="localhost", ca_pem=mariadb.ca_pem).read()
        thread.join()
    assert heard == [b""]
