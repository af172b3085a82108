"""How VerneMQ with vmq_diversity is spoken to: what the `connection` of a `vernemq-postgresql` broker may hold.

`{"host", "port", "database", "username", "password"}` of the PostgreSQL that it reads, `ca_pem` unless that is this
machine; and `api`, `{"host", "port", "api_key"}` of its HTTP API with `ca_pem` likewise: without it no session can be
ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from kernel.core.errors import FieldError

_TEXTS = ("database", "username", "password")
_MEMBERS = ("host", "port", *_TEXTS, "ca_pem")
_API_MEMBERS = ("host", "port", "api_key", "ca_pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class VernemqApi:
    """Where the HTTP API is; no `ca_pem` for plain HTTP."""

    host: str
    port: int
    api_key: str = field(repr=False)
    ca_pem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VernemqConnection:
    """A checked connection; `ca_pem` is empty for plain TCP on this machine."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    ca_pem: str = ""
    api: VernemqApi | None = None

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> VernemqConnection:
        """The connection that these members, found without error, spell."""
        told = {name: value for name, value in (members.get("api") or {}).items() if value}
        given = {name: members[name] for name in _MEMBERS if members.get(name)}
        return cls(**given, api=VernemqApi(**told) if told else None)


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=("api",))
    api = connection.get("api") if isinstance(connection, Mapping) else None
    if api is None:
        return errors
    if not isinstance(api, Mapping):
        detail = "Give an object with host, port and api_key of VerneMQ's HTTP API."
        return [*errors, FieldError(pointer="/connection/api", code="invalid-api", detail=detail)]
    errors += registration.place_errors(api, _API_MEMBERS, pointer="/connection/api")
    return errors + registration.text_errors(api, ("api_key",), pointer="/connection/api")
