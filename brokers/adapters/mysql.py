"""A MySQL or MariaDB that a broker reads from: one connection, checked against a CA unless it is this machine's."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import ER

from brokers.adapters.dialing import dial
from brokers.adapters.postgresql import Place, TextNotKept
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 65
_NOT_OURS = (
    ER.NO_SUCH_TABLE,
    ER.BAD_FIELD_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
)
_READABLE = (pymysql.Error, OSError)
# Over who speaks as no MySQL does PyMySQL stumbles wherever it is.
_FAULTS = (*_READABLE, struct.error, LookupError, ValueError, AssertionError, RuntimeError, TypeError, AttributeError)


class MysqlSession:
    """Statements of one connection, each committed by itself outside a transaction. All raise BrokerUnreachable.

    TextNotKept is of one statement: the connection is as good as before.
    """

    def __init__(self, place: Place, *, wanted: str) -> None:
        self._where = f"{place.host}:{place.port}"
        self._wanted = wanted
        try:
            self._connection = _connected(place)
        except _FAULTS as error:
            raise self._said(error) from None  # what it holds of the connection holds the password

    def execute(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that the statement gives; each `%s` in it is one of the values."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, tuple(values))
                return list(cursor.fetchall())
        except pymysql.DataError as error:
            raise TextNotKept(f"The database does not take a text as it is: {str(error.args[-1])[:200]}") from error
        except _FAULTS as error:
            raise self._said(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is made within, or nothing of it."""
        self.execute("START TRANSACTION")
        try:
            yield
        except Conflict:
            self.execute("ROLLBACK")
            raise
        except BaseException:
            self.close()  # which takes it back, also if the server has stopped answering
            raise
        self.execute("COMMIT")

    def close(self) -> None:
        """Ends the connection; a second time is none."""
        if self._connection.open:
            self._connection.close()

    def _said(self, error: Exception) -> BrokerUnreachable:
        told = error.args if isinstance(error, pymysql.Error) else ()
        if told and told[0] in _NOT_OURS:
            return BrokerUnreachable(f"{self._where}: {self._wanted}")
        text = str(told[-1] if told else error) if isinstance(error, _READABLE) else ""
        why = text.strip().splitlines() or ["it speaks as no MySQL does"]
        return BrokerUnreachable(f"The database at {self._where} does not answer as it should: {why[0][:200]}")


@contextmanager
def session(place: Place, *, wanted: str) -> Iterator[MysqlSession]:
    """A connection, closed at the end. Raises BrokerUnreachable: it says `wanted` if tables or rights are missing."""
    opened = MysqlSession(place, wanted=wanted)
    try:
        yield opened
    finally:
        opened.close()


def _connected(place: Place) -> Any:
    """A connection of which the certificate has to be the host's; text is UTF-8, and what does not fit is refused."""
    made = pymysql.connect(
        host=place.host,
        port=place.port,
        database=place.database,
        user=place.username,
        password=place.password.encode(),
        ssl=ssl.create_default_context(cadata=place.ca_pem) if place.ca_pem else None,
        ssl_disabled=not place.ca_pem,
        charset="utf8mb4",
        sql_mode="STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        autocommit=True,
        local_infile=False,
        read_timeout=_CONNECT_SECONDS,
        write_timeout=_ANSWER_SECONDS,
        defer_connect=True,
    )
    made.connect(dial(place.host, place.port, timeout=_CONNECT_SECONDS))
    made._read_timeout = _ANSWER_SECONDS  # noqa: SLF001 - a statement may take longer than a greeting
    return made
