"""How EMQX is spoken to: what the `connection` of an `emqx` broker may hold.

`{"host", "port", "api_key", "api_secret"}` of the management API; `ca_pem` for https, which every host but this machine
needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from kernel.core.errors import FieldError

_TEXTS = ("api_key", "api_secret")
_MEMBERS = ("host", "port", *_TEXTS, "ca_pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmqxConnection:
    """A checked connection; `ca_pem` is empty for plain HTTP on this machine."""

    host: str
    port: int
    api_key: str
    api_secret: str = field(repr=False)
    ca_pem: str = ""

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> EmqxConnection:
        """The connection that these members, found without error, spell."""
        return cls(**{name: members[name] for name in _MEMBERS if members.get(name)})


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    return registration.connection_errors(connection, texts=_TEXTS)
