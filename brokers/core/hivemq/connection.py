"""How HiveMQ's Enterprise Security Extension is spoken to: what the `connection` of a `hivemq-ese-sql` broker may hold.

`{"host", "port", "database", "username", "password"}` of the PostgreSQL that its SQL realm is kept in, or of the MySQL
or MariaDB with `"dialect": "mysql"`, `ca_pem` unless that is this machine; and `rest`, `{"host", "port"}` of the
broker's REST API with `ca_pem` likewise, and `username` and `password` where it asks for them: without it no session
can be ended. `log`, `{"directory": "<name>"}`, is the folder below `GATEHOUSE_HOME/brokers/` where its nodes write the
extension's access logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from brokers.core import registration
from brokers.core.mosquitto.connection import files_errors
from kernel.core.errors import FieldError

_TEXTS = ("database", "username", "password")
_MEMBERS = ("host", "port", *_TEXTS, "ca_pem")
_MORE = ("rest", "log")
_DIALECT = "dialect"
_REST_MEMBERS = ("host", "port", "username", "password", "ca_pem")


class SqlDialect(StrEnum):
    """Which SQL the realm's database speaks; MariaDB's is MySQL's."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestConnection:
    """Where the broker's REST API is; no username where it asks for none, no `ca_pem` for plain HTTP."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    ca_pem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HivemqConnection:
    """A checked connection; `ca_pem` is empty for plain TCP on this machine."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    ca_pem: str = ""
    rest: RestConnection | None = None
    dialect: SqlDialect = SqlDialect.POSTGRESQL

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> HivemqConnection:
        """The connection that these members, found without error, spell."""
        given = {name: members[name] for name in _MEMBERS if members.get(name)}
        return cls(**given, rest=rest_of(members), dialect=SqlDialect(members.get(_DIALECT) or SqlDialect.POSTGRESQL))


def rest_of(members: Mapping[str, Any]) -> RestConnection | None:
    """Where the REST API is, if these members, found without error, say so."""
    told = {name: value for name, value in (members.get("rest") or {}).items() if value}
    return RestConnection(**told) if told else None


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=(_DIALECT, *_MORE))
    if not isinstance(connection, Mapping):
        return errors
    if connection.get(_DIALECT) not in (None, *SqlDialect):
        detail = f"Give one of {', '.join(SqlDialect)}; postgresql if it is left out."
        errors.append(FieldError(pointer="/connection/dialect", code="invalid-dialect", detail=detail))
    return errors + _more_errors(connection)


def file_connection_errors(connection: object, *, more: bool) -> list[FieldError]:
    """What is wrong with a connection of files: `{"files": {"directory"}}`, and with `more` also `rest` and `log`."""
    if not isinstance(connection, Mapping) or connection.get("files") is None:
        detail = 'Give {"files": {"directory": "<name>"}}: a folder in GATEHOUSE_HOME/brokers.'
        return [FieldError(pointer="/connection", code="invalid-connection", detail=detail)]
    known = ("files", *_MORE) if more else ("files",)
    errors = registration.unknown_member_errors(connection, known, pointer="/connection")
    errors += files_errors(connection["files"])
    return errors + _more_errors(connection) if more else errors


def log_folder_of(members: Mapping[str, Any]) -> str | None:
    """The folder where access logs are, if these members, found without error, name one."""
    found: str | None = (members.get("log") or {}).get("directory")
    return found


def _more_errors(connection: Mapping[str, object]) -> list[FieldError]:
    found = [
        replace(error, pointer=error.pointer.replace("/files", "/log")) for error in files_errors(connection.get("log"))
    ]
    return rest_errors(connection.get("rest")) + found


def rest_errors(rest: object) -> list[FieldError]:
    """What is wrong with where the REST API is; nothing if there is none."""
    if rest is None:
        return []
    if not isinstance(rest, Mapping):
        detail = "Give an object with host and port, and username and password if the REST API asks for them."
        return [FieldError(pointer="/connection/rest", code="invalid-rest", detail=detail)]
    errors = registration.place_errors(rest, _REST_MEMBERS, pointer="/connection/rest")
    given = [name for name in ("username", "password") if rest.get(name) is not None]
    return errors + registration.text_errors(rest, given, pointer="/connection/rest")
