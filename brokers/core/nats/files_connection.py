"""How a NATS server is spoken to that has its users in a file: the `connection` of a `nats-files` broker.

`{"host", "port", "system_user", "system_password", "account"}`, `ca_pem` unless that is this machine;
`{"files": {"directory"}}`, the folder below `GATEHOUSE_HOME/brokers/` of the file that the server includes; and
`subject`, how the subjects of devices' certificates are spelled, unless that is `CN={auth_id}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brokers.core import registration
from brokers.core.mosquitto.connection import folder_errors
from brokers.core.nats.connection import NatsConnection
from brokers.core.nats.users import NAME
from kernel.core.errors import FieldError

_TEXTS = ("system_user", "system_password", "account")
_SYSTEM = ("host", "port", *_TEXTS, "ca_pem")
_USUAL = f"CN={NAME}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsFilesConnection:
    """A checked connection. `system` has no callout."""

    system: NatsConnection
    directory: str
    subject: str

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> NatsFilesConnection:
        """The connection that these members, found without error, spell."""
        told = {name: members[name] for name in _SYSTEM if members.get(name)}
        return cls(
            system=NatsConnection(**told, callout_user="", callout_password="", issuer_seed=""),
            directory=members["files"]["directory"],
            subject=members.get("subject") or _USUAL,
        )


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=_TEXTS, more=("files", "subject"))
    if not isinstance(connection, Mapping):
        return errors
    errors += folder_errors(connection)
    subject = connection.get("subject") or _USUAL
    if not isinstance(subject, str) or len(subject) > 255 or subject.count(NAME) != 1 or not subject.isprintable():
        detail = f"Give the subject of devices' certificates with {NAME} in it once, such as {_USUAL},O=Acme."
        errors.append(FieldError(pointer="/connection/subject", code="invalid-subject", detail=detail))
    return errors
