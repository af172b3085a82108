"""How RabbitMQ is spoken to: what the `connection` of a `rabbitmq` broker may hold.

`{"host", "port", "username", "password"}` of the management API; `ca_pem` for https, which every host but this machine
needs; `vhost`, `/` unless given: the virtual host of `mqtt.vhost`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from brokers.core.rabbitmq.state import VHOST
from kernel.core.errors import FieldError

_TEXTS = ("username", "password")
_MEMBERS = ("host", "port", *_TEXTS, "ca_pem", "vhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitConnection:
    """A checked connection; `ca_pem` is empty for plain HTTP on this machine."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    ca_pem: str = ""
    vhost: str = VHOST

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> RabbitConnection:
        """The connection that these members, found without error, spell."""
        return cls(**{name: members[name] for name in _MEMBERS if members.get(name)})


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=("vhost",))
    if not isinstance(connection, Mapping) or "vhost" not in connection:
        return errors
    return errors + registration.text_errors(connection, ("vhost",))
