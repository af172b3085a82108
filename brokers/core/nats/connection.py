"""How a NATS server is spoken to: what the `connection` of a `nats` broker holds.

`{"host", "port", "system_user", "system_password", "callout_user", "callout_password", "issuer_seed", "account"}`, and
`ca_pem` unless the host is this machine. The system user closes connections; the callout user answers for us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from brokers.core.nats.nkeys import AccountKey, BadNkeyError
from kernel.core.errors import FieldError

_TEXTS = ("system_user", "system_password", "callout_user", "callout_password", "account")
_MEMBERS = ("host", "port", *_TEXTS, "issuer_seed", "ca_pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsConnection:
    """A checked connection; `ca_pem` is empty for plain TCP on this machine."""

    host: str
    port: int
    system_user: str
    system_password: str = field(repr=False)
    callout_user: str
    callout_password: str = field(repr=False)
    issuer_seed: str = field(repr=False)
    account: str
    ca_pem: str = ""

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> NatsConnection:
        """The connection that these members, found without error, spell."""
        return cls(**{name: members[name] for name in _MEMBERS if members.get(name)})


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=("issuer_seed",))
    if not isinstance(connection, Mapping):
        return errors
    try:
        AccountKey.from_seed(str(connection.get("issuer_seed", "")))
    except (BadNkeyError, IndexError):
        detail = "Give the seed of an account's nkey, which begins with SA."
        errors.append(FieldError(pointer="/connection/issuer_seed", code="invalid-issuer-seed", detail=detail))
    return errors
