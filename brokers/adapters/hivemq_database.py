"""The database that HiveMQ's SQL realm is kept in, of either make, as one connection that takes the same statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from psycopg import Connection

from brokers.adapters import mysql, postgresql
from brokers.core.hivemq.connection import HivemqConnection, SqlDialect


class Session(Protocol):
    """One connection; what it does outside a transaction is committed by itself. All raise BrokerUnreachable.

    A Conflict, such as TextNotKept, ends a transaction and not the connection.
    """

    def execute(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that the statement gives; each `%s` in it is one of the values."""

    def transaction(self) -> AbstractContextManager[object]:
        """All that is made within, or nothing of it."""


@contextmanager
def session(connection: HivemqConnection, *, wanted: str) -> Iterator[Session]:
    """A session, closed at the end. Raises BrokerUnreachable: it says `wanted` if tables or rights are missing."""
    if connection.dialect is SqlDialect.MYSQL:
        with mysql.session(connection, wanted=wanted) as opened:
            yield opened
    else:
        with postgresql.session(connection, wanted=wanted) as connected:
            yield _OnPostgresql(connected)


class _OnPostgresql:
    """A Session of psycopg."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with postgresql.texts_kept():
            cursor = self._connection.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def transaction(self) -> AbstractContextManager[object]:
        return self._connection.transaction()
