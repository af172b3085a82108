"""Where mosquitto-go-auth's keys are: what the `connection` of a `goauth-redis` broker may hold.

`{"host", "port"}` of a Redis, `username` and `password` where it asks for them, `database` unless it is 0, and `ca_pem`
unless that is this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from kernel.core.errors import FieldError

_ACCOUNT = ("username", "password")
_MEMBERS = ("host", "port", *_ACCOUNT, "database", "ca_pem")
_MOST_DATABASES = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAuthRedisConnection:
    """A checked connection; `ca_pem` is empty for plain TCP on this machine."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    ca_pem: str = ""

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> GoAuthRedisConnection:
        """The connection that these members, found without error, spell."""
        return cls(**{name: members[name] for name in _MEMBERS if members.get(name)})


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=(), more=(*_ACCOUNT, "database"))
    if not isinstance(connection, Mapping):
        return errors
    errors += registration.text_errors(connection, [name for name in _ACCOUNT if connection.get(name) is not None])
    database = connection.get("database", 0)
    if not isinstance(database, int) or isinstance(database, bool) or not 0 <= database < _MOST_DATABASES:
        detail = "Give the number of the database, 0 if Redis was not told otherwise."
        errors.append(FieldError(pointer="/connection/database", code="invalid-database", detail=detail))
    return errors
