"""Accounts with the rights that the documentation names, in a real PostgreSQL: they are enough, and fewer are said."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg
import pytest

from brokers.core.goauth.postgresql import PASSWORD_SCHEMA, SCHEMA
from brokers.core.ports import BrokerAdapter, BrokerUnreachable, Standing
from devices.core.password_verifier import PasswordVerifier
from kernel.core.ids import new_id
from tests.brokers.adapters import test_goauth_postgresql, test_hivemq_ese, test_vernemq_postgresql
from tests.brokers.bringing import all_of, bring_to
from tests.brokers.subjects import ALL, DOWN, UP, subject

pytestmark = pytest.mark.e2e

PASSWORD = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm", iterations=1_000)
STATES = (  # each is reached from the one before by rows that come, change and go
    all_of(subject("alpha", UP, DOWN), subject("beta", ALL)),
    all_of(replace(subject("alpha", UP, ALL), password=PASSWORD), subject("beta", ALL)),
    all_of(subject("alpha", standing=Standing.BARRED), subject("gamma", UP)),
    all_of(),
)


@dataclass(frozen=True)
class Rights:
    """What our account is granted by the documentation: `rights` on the tables of a schema."""

    schema: str
    rights: str
    tables: str
    on_sequences: bool = False

    def grant(self, owner: psycopg.Connection, account: str) -> None:
        self.ask(owner, self.schema)
        self.ask(owner, f"CREATE ROLE {account} LOGIN")
        self.ask(owner, f"GRANT {self.rights} ON {self.tables} TO {account}")
        if self.on_sequences:
            self.ask(owner, f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {account}")

    @staticmethod
    def ask(owner: psycopg.Connection, statement: str) -> None:
        owner.execute(statement.encode())


KINDS = {
    "goauth": Rights(
        f"{SCHEMA};{PASSWORD_SCHEMA}",
        "SELECT, INSERT, DELETE",
        "mqtt_member, mqtt_role_acl, mqtt_own_acl, mqtt_password",
    ),
    "hivemq": Rights(
        test_hivemq_ese.SCHEMA,
        "SELECT, INSERT, UPDATE, DELETE",
        "users, roles, permissions, user_roles, user_permissions, role_permissions",
        on_sequences=True,
    ),
    "vernemq": Rights(test_vernemq_postgresql.SCHEMA, "SELECT, INSERT, UPDATE, DELETE", "vmq_auth_acl"),
}


def adapter_of(kind: str, url: str, username: str) -> BrokerAdapter:
    """The adapter of that kind as that account, at a broker that takes passwords."""
    if kind == "goauth":
        return test_goauth_postgresql.Database(url).adapter(takes_passwords=True, username=username)
    if kind == "hivemq":
        return test_hivemq_ese.Database(url).adapter(takes_passwords=True, username=username)
    made = test_vernemq_postgresql.Database(url, test_vernemq_postgresql.Api())
    return made.adapter(api=False, takes_passwords=True, username=username)


@pytest.mark.parametrize("kind", KINDS)
def test_rights_that_the_documentation_names_are_enough_and_fewer_are_said(postgresql_url: str, kind: str) -> None:
    rights, account = KINDS[kind], f"u{new_id().hex}"
    adapter = adapter_of(kind, postgresql_url, account)
    with psycopg.connect(postgresql_url, autocommit=True) as owner:
        rights.grant(owner, account)
        for desired in STATES:
            bring_to(adapter, desired)
        rights.ask(owner, f"REVOKE INSERT ON {rights.tables} FROM {account}")
        with pytest.raises(BrokerUnreachable, match="our account may not use"):
            bring_to(adapter, STATES[0])
        rights.ask(owner, f"REVOKE SELECT ON {rights.tables} FROM {account}")
        with pytest.raises(BrokerUnreachable, match="our account may not use"):
            adapter.read()
