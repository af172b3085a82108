"""How a NanoMQ is spoken to: what the `connection` of a `nanomq` broker holds.

`{"files": {"directory"}}`, the folder below `GATEHOUSE_HOME/brokers/` of its ACL file, and `{"host", "port",
"username", "password"}` of its HTTP API, `ca_pem` unless that is this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from brokers.core.mosquitto.connection import folder_errors
from kernel.core.errors import FieldError

_TEXTS = ("username", "password")
_MEMBERS = ("host", "port", *_TEXTS, "ca_pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class NanomqConnection:
    """A checked connection; `ca_pem` is empty for plain HTTP on this machine."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    directory: str
    ca_pem: str = ""

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> NanomqConnection:
        """The connection that these members, found without error, spell."""
        told = {name: members[name] for name in _MEMBERS if members.get(name)}
        return cls(**told, directory=members["files"]["directory"])


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=("files",))
    return errors + folder_errors(connection) if isinstance(connection, Mapping) else errors
