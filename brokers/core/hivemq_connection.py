"""How HiveMQ's Enterprise Security Extension is spoken to: what the `connection` of a `hivemq-ese-sql` broker may hold.

`{"host", "port", "database", "username", "password"}` of the PostgreSQL that its SQL realm is kept in, `ca_pem` unless
that is this machine; and `rest`, `{"host", "port"}` of the broker's REST API with `ca_pem` likewise, and `username` and
`password` where it asks for them: without it no session can be ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from kernel.core.errors import FieldError

_TEXTS = ("database", "username", "password")
_MEMBERS = ("host", "port", *_TEXTS, "ca_pem", "rest")
_REST_MEMBERS = ("host", "port", "username", "password", "ca_pem")


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

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> HivemqConnection:
        """The connection that these members, found without error, spell."""
        given = {name: members[name] for name in _MEMBERS if members.get(name)}
        rest = given.pop("rest", None) or {}
        told = {name: value for name, value in rest.items() if value}
        return cls(**given, rest=RestConnection(**told) if told else None)


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=("rest",))
    rest = connection.get("rest") if isinstance(connection, Mapping) else None
    if rest is None:
        return errors
    if not isinstance(rest, Mapping):
        detail = "Give an object with host and port, and username and password if the REST API asks for them."
        return [*errors, FieldError(pointer="/connection/rest", code="invalid-rest", detail=detail)]
    errors += registration.place_errors(rest, _REST_MEMBERS, pointer="/connection/rest")
    given = [name for name in ("username", "password") if rest.get(name) is not None]
    return errors + registration.text_errors(rest, given, pointer="/connection/rest")
