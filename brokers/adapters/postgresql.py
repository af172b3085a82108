"""A PostgreSQL that a broker reads from: one connection, checked against a CA unless it is this machine's."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
from psycopg import Connection, errors
from psycopg.abc import RV, PQGen
from psycopg.conninfo import make_conninfo

from brokers.adapters.dialing import addresses_of
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 60


class TextNotKept(Conflict):
    """The database can not hold a text as it is: by its character set, its collation, or the width of a column."""

    code = "database-text-not-kept"


class BoundedConnection(Connection[Any]):
    """A connection that waits no longer for a statement than the server should let it run, also if that hangs."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """What the server answers. Raises OperationalError, and then is closed."""
        try:
            return super().wait(gen, interval, timeout or _STATEMENT_SECONDS + 5)
        except psycopg.OperationalError:
            self.pgconn.finish()
            raise


class Place(Protocol):
    """Where the database is. `ca_pem` is empty for plain TCP on this machine."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def database(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def ca_pem(self) -> str: ...


@contextmanager
def session(place: Place, *, wanted: str) -> Iterator[Connection[Any]]:
    """A connection that commits each statement by itself, closed at the end; names are those of the schema `public`.

    Raises BrokerUnreachable, which says `wanted` if tables or rights are missing.
    """
    where = f"{place.host}:{place.port}"
    try:
        with _connected(place, addresses_of(place.host, place.port)) as connection:
            yield connection
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InsufficientPrivilege) as error:
        raise BrokerUnreachable(f"{where}: {wanted}") from error
    except (psycopg.Error, socket.gaierror, TimeoutError) as error:
        why = str(error).strip().splitlines() or ["no answer in time"]
        raise BrokerUnreachable(f"The database at {where} does not answer as it should: {why[0][:200]}") from error


@contextmanager
def texts_kept() -> Iterator[None]:
    """Raises TextNotKept over a text that the database does not take; the connection is as good as before."""
    try:
        yield
    except (psycopg.DataError, UnicodeEncodeError) as error:
        raise TextNotKept(f"The database does not take a text as it is: {str(error).splitlines()[0][:200]}") from error


def _connected(place: Place, addresses: Sequence[str]) -> Connection[Any]:
    """A connection to one of these, of which the certificate has to be the host's."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as ca:  # libpq reads it from a file, when it connects
        ca.write(place.ca_pem)
        ca.flush()
        told = make_conninfo(
            host=",".join([place.host] * len(addresses)),
            hostaddr=",".join(addresses),
            port=place.port,
            dbname=place.database,
            user=place.username,
            password=place.password,
            connect_timeout=_CONNECT_SECONDS,
            options=f"-c statement_timeout={_STATEMENT_SECONDS}s -c search_path=public",
            sslmode="verify-full" if place.ca_pem else "disable",
            sslrootcert=ca.name,
        )
        return BoundedConnection.connect(told, autocommit=True)
