"""Where mosquitto-go-auth's rows are: what the `connection` of a `goauth-postgresql` broker may hold.

`{"host", "port", "database", "username", "password"}` of a PostgreSQL, and `ca_pem` unless that is this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from kernel.core.errors import FieldError

_TEXTS = ("database", "username", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAuthConnection:
    """A checked connection; `ca_pem` is empty for plain TCP on this machine."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    ca_pem: str = ""

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> GoAuthConnection:
        """The connection that these members, found without error, spell."""
        return cls(**{name: members[name] for name in ("host", "port", *_TEXTS, "ca_pem") if members.get(name)})


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    return registration.connection_errors(connection, texts=_TEXTS)
