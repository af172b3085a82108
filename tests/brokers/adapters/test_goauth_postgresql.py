"""The adapter on a real PostgreSQL, asked by the very query that the plugin is configured with."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from threading import Thread

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from acl.core.values import Publish
from brokers.adapters import postgresql
from brokers.adapters.goauth_postgresql import GoAuthPostgresqlAdapter
from brokers.core.goauth.changes import changes
from brokers.core.goauth.postgresql import (
    ACL_QUERY,
    PASSWORD_QUERY,
    PASSWORD_SCHEMA,
    READ,
    SCHEMA,
    SUBSCRIBE,
    WRITE,
    GoAuthRows,
    Row,
)
from brokers.core.password_texts import goauth
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, EffectLine, Standing
from brokers.core.values import AdapterKind
from devices.core.password_verifier import PasswordVerifier
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.links import broker_link
from tests.brokers.subjects import ALL, DOWN, PUBLISH, UP, rule, subject

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Database:
    """The plugin's database."""

    url: str

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            found = session.execute(query.encode(), values)
            return found.fetchall() if found.description else []

    def topics(self, name: str, rw: int) -> set[object]:
        """What the plugin is told, with %u as it puts it in."""
        query = ACL_QUERY.replace("$1", "%s").replace("$2", "%s")
        return {str(topic).replace("%u", name) for (topic,) in self.ask(query, name, rw)}

    def adapter(self, *, takes_passwords: bool | None = None, **changed: object) -> GoAuthPostgresqlAdapter:
        told = conninfo_to_dict(self.url)
        members: dict[str, object] = {
            "host": told["host"],
            "port": int(str(told["port"])),
            "database": told["dbname"],
            "username": told["user"],
            "password": "trusted",
            **changed,
        }
        assert not GoAuthPostgresqlAdapter.connection_errors(members)
        link = broker_link(AdapterKind.GOAUTH_POSTGRESQL, members, takes_passwords=takes_passwords)
        return GoAuthPostgresqlAdapter(link=link)


@pytest.fixture
def database(postgresql_url: str) -> Database:
    made = Database(postgresql_url)
    made.ask(SCHEMA)
    return made


def test_adapter_has_all_that_the_port_asks_for(database: Database) -> None:
    adapter: BrokerAdapter = database.adapter()  # the type checker compares
    assert adapter.disconnect(subject("alpha").principal) is None


def test_plugin_is_told_what_policy_gives(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL))
    bring_to(adapter, desired)
    assert database.topics("alpha", WRITE) == {"north/alpha/up/#"}
    assert database.topics("alpha", READ) == {"north/alpha/down/#"}
    assert database.topics("beta", SUBSCRIBE) == {"north/all/#", "$share/+/north/all/#"}
    assert database.topics("stranger", WRITE) == set()
    alpha = desired.subjects[0].principal
    assert adapter.enforces(adapter.render(desired), alpha, Publish(topic="north/alpha/up/t"))


def test_one_device_is_changed_alone(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    assert bring_to(adapter, only(subject("alpha", standing=Standing.BARRED))) == [("set-user", "alpha")]
    assert database.topics("alpha", WRITE) == set()
    assert database.topics("beta", WRITE) == {"north/beta/up/#"}


def test_plugin_is_told_the_hash_of_who_has_a_password(database: Database) -> None:
    database.ask(PASSWORD_SCHEMA)
    adapter, query = database.adapter(takes_passwords=True), PASSWORD_QUERY.replace("$1", "%s")
    verifier = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    desired = all_of(replace(subject("alpha", UP), password=verifier), subject("beta", UP))
    assert ("set-password", "alpha") in bring_to(adapter, desired)
    assert database.ask(query, "alpha") == [(goauth(verifier),)]
    assert database.ask(query, "beta") == []
    database.ask("UPDATE mqtt_password SET password_hash = 'by hand'")
    database.ask("INSERT INTO mqtt_password VALUES ('guest', 'by hand')")
    assert bring_to(adapter, desired) == [("take-password", "guest"), ("set-password", "alpha")]
    assert goauth(verifier) not in f"{adapter.render(desired)}{adapter.read()}"
    barred = only(subject("alpha", standing=Standing.BARRED))
    assert ("take-password", "alpha") in bring_to(adapter, barred)
    assert database.ask(query, "alpha") == []


def test_what_was_changed_by_hand_is_seen_and_put_right(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP))
    bring_to(adapter, desired)
    database.ask("INSERT INTO mqtt_own_acl VALUES ('alpha', '#', 1), ('guest', '#', 2)")
    database.ask("INSERT INTO mqtt_role_acl VALUES ('pump', 'secret/#', 2)")
    found = adapter.effect(desired, adapter.read())
    assert EffectLine(auth_id="alpha", action="publish", filter="secret/#") in found.lose
    assert EffectLine(auth_id="guest", action="publish", filter="#") in found.lose
    kinds = bring_to(adapter, desired)
    assert set(kinds) == {("set-roles", "pump"), ("set-user", "alpha"), ("set-user", "guest")}
    assert kinds[0] == ("set-user", "guest")  # what goes altogether goes first
    assert database.topics("alpha", WRITE) == {"north/alpha/up/#"}


def test_tables_that_were_restored_empty_are_filled_again(database: Database) -> None:
    database.ask(PASSWORD_SCHEMA)
    adapter, verifier = database.adapter(takes_passwords=True), PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    alpha = replace(subject("alpha", UP, DOWN), password=verifier)
    desired = all_of(alpha, subject("beta", UP), subject("gamma", standing=Standing.BARRED))
    bring_to(adapter, desired)
    before = adapter.read()
    database.ask("TRUNCATE mqtt_member, mqtt_role_acl, mqtt_own_acl, mqtt_password")
    assert database.topics("alpha", WRITE) == set()

    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    bring_to(adapter, desired)

    assert adapter.read() == before
    assert database.topics("alpha", WRITE) == {"north/alpha/up/#"}
    assert database.topics("gamma", WRITE) == set()
    assert database.ask(PASSWORD_QUERY.replace("$1", "%s"), "alpha") == [(goauth(verifier),)]


def test_at_no_moment_has_a_user_what_it_had_not_and_is_not_to_have(database: Database) -> None:
    adapter = database.adapter()
    other, new = rule("allow", PUBLISH, "north/other/t", role="other"), rule("allow", PUBLISH, "north/new/t")
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    desired = all_of(subject("alpha", other), subject("beta", UP, new))  # alpha leaves a role that grows
    allowed = {"north/alpha/up/#", "north/other/t"}
    seen = set()
    for step in adapter.plan(desired, adapter.read()):
        adapter.apply([step], between=lambda: None)
        seen |= database.topics("alpha", WRITE)
    assert seen <= allowed
    assert database.topics("alpha", WRITE) == {"north/other/t"}
    assert database.topics("beta", WRITE) == {"north/beta/up/#", "north/new/t"}


def test_user_whose_rights_become_its_own_leaves_its_roles_before_they_grow() -> None:
    old, new = Row("pump", "north/t", WRITE), Row("pump", "north/new", WRITE)
    present = GoAuthRows(members={"alpha": "pump"}, roles=frozenset({old}), own=frozenset())
    own = frozenset({Row("alpha", "north/t", WRITE)})
    wanted = GoAuthRows(members={"beta": "pump"}, roles=frozenset({old, new}), own=own)
    first, second, *_ = changes(wanted, present, whole=True)
    assert (first.kind, first.name, first.roles, first.rows) == (
        "set-user",
        "alpha",
        None,
        frozenset({("north/t", WRITE)}),
    )
    assert (second.kind, second.name) == ("set-roles", "pump")


def test_one_device_is_read_alone(database: Database) -> None:
    adapter = database.adapter()
    odd = rule("allow", PUBLISH, "north/${attr.x}/t", role="odd")
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP, ALL, odd)))
    assert "beta" not in adapter.read(only=frozenset({"alpha"})).artifact
    assert adapter.plan(only(subject("gamma", standing=Standing.ABSENT)), adapter.read(only=frozenset({"gamma"}))) == ()


@pytest.mark.parametrize("name", ["..", "%u", "%c", "a'b\"c", "; DROP TABLE x", "ä泵😀", "x" * 255, "\\", "{}"])
def test_names_that_look_like_something_else_are_names(database: Database, name: str) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject(name, rule("allow", PUBLISH, "north/${auth_id}/up/#"))))
    bring_to(adapter, only(subject(name, standing=Standing.BARRED)))
    assert database.topics(name, WRITE) == set()
    assert database.topics("alpha", WRITE) == {"north/alpha/up/#"}


def test_database_that_says_nothing_any_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_STATEMENT_SECONDS", -4.5)  # half a second in all
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_let_in, args=(server,))
        thread.start()
        place = Database(f"host=127.0.0.1 port={server.getsockname()[1]} dbname=x user=x").adapter()
        with pytest.raises(BrokerUnreachable, match=r"does not answer as it should: \S.*"):
            place.read()
        thread.join(60)
        assert not thread.is_alive()


def _let_in(server: socket.socket) -> None:
    """A server that lets somebody in, and answers no statement."""
    connection, _ = server.accept()
    with connection:
        connection.recv(4_096)
        connection.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")
        while connection.recv(4_096):
            pass


def test_nobody_leaves_nothing(database: Database) -> None:
    adapter = database.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP, ALL)))
    bring_to(adapter, all_of())
    assert database.ask("SELECT * FROM mqtt_acl UNION ALL SELECT username, roles, 0 FROM mqtt_member") == []


def test_database_without_the_tables_is_said(postgresql_url: str) -> None:
    with pytest.raises(BrokerUnreachable, match="mqtt_role_acl"):
        Database(postgresql_url).adapter().read()
