"""How Mosquitto is spoken to: what the `connection` of a `mosquitto-dynsec` broker may hold.

`{"host", "port", "username", "password"}`; `ca_pem` unless the host is this machine; optionally
`{"files": {"directory": "<name>"}}`, the folder below `GATEHOUSE_HOME/brokers/` that it shares with the broker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brokers.core import registration
from kernel.core.errors import FieldError

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MosquittoConnection:
    """A checked connection. `directory` is None without a shared folder; `ca_pem` is empty for plain TCP."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    ca_pem: str
    directory: str | None

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> MosquittoConnection:
        """The connection that these members, found without error, spell."""
        return cls(
            host=members["host"],
            port=members["port"],
            username=members["username"],
            password=members["password"],
            ca_pem=members.get("ca_pem") or "",
            directory=folder_of(members),
        )


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection."""
    errors = registration.connection_errors(connection, texts=("username", "password"), more=("files",))
    return errors + files_errors(connection.get("files")) if isinstance(connection, Mapping) else errors


def folder_of(connection: Mapping[str, Any]) -> str | None:
    """The folder that a checked connection shares with its broker, or None."""
    found: str | None = (connection.get("files") or {}).get("directory")
    return found


def folder_errors(connection: Mapping[str, object]) -> list[FieldError]:
    """What is wrong with the folder that has to be shared with the broker."""
    if connection.get("files") is not None:
        return files_errors(connection["files"])
    detail = 'Give {"directory": "<name>"}: a folder in GATEHOUSE_HOME/brokers.'
    return [FieldError(pointer="/connection/files", code="invalid-files", detail=detail)]


def files_errors(files: object) -> list[FieldError]:
    """What is wrong with the folder that is shared with the broker; nothing if there is none."""
    if files is None:
        return []
    directory = files.get("directory") if isinstance(files, Mapping) else None
    if isinstance(directory, str) and _FOLDER.fullmatch(directory) and ".." not in directory:
        return []
    detail = "Give the name of a folder in GATEHOUSE_HOME/brokers: letters, digits and . _ - without a separator."
    return [FieldError(pointer="/connection/files/directory", code="invalid-directory", detail=detail)]
