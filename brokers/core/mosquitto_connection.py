"""How Mosquitto is spoken to: what the `connection` of a `mosquitto-dynsec` broker may hold.

`{"host", "port", "username", "password"}`; `ca_pem` unless the host is this machine; optionally
`{"files": {"directory": "<name>"}}`, the folder below `GATEHOUSE_HOME/brokers/` that it shares with the broker.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from brokers.core.registration import host_errors, port_errors, unknown_member_errors
from kernel.core.errors import FieldError

_MEMBERS = ("host", "port", "username", "password", "ca_pem", "files")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # a line of its own would speak to whatever else listens at that port
_MAX_TEXT = 1_024
_MAX_PEM = 200_000


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
    """What is wrong with the members of a connection. The password is never quoted."""
    if not isinstance(connection, Mapping):
        return [_error("", "invalid-connection", "Give an object with host, port, username and password.")]
    errors = unknown_member_errors(connection, _MEMBERS, pointer="/connection")
    errors += host_errors(connection.get("host"), pointer="/connection/host")
    errors += port_errors(connection.get("port"), pointer="/connection/port")
    errors += [error for name in ("username", "password") for error in _text_errors(connection.get(name), name)]
    errors += _tls_errors(connection)
    return errors + _files_errors(connection.get("files"))


def folder_of(connection: Mapping[str, Any]) -> str | None:
    """The folder that a checked connection shares with its broker, or None."""
    found: str | None = (connection.get("files") or {}).get("directory")
    return found


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _error(name: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=f"/connection{name}", code=code, detail=detail)


def _text_errors(value: object, name: str) -> list[FieldError]:
    if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and not _CONTROL.search(value):
        return []
    return [_error(f"/{name}", f"invalid-{name}", f"Give the {name} of the broker's control account as one line.")]


def _tls_errors(connection: Mapping[str, Any]) -> list[FieldError]:
    pem, host = connection.get("ca_pem"), connection.get("host")
    if pem is None or pem == "":
        if isinstance(host, str) and not is_loopback(host):
            detail = "The password would cross the network in the clear: give ca_pem, and the broker's TLS port."
            return [_error("/ca_pem", "tls-required", detail)]
        return []
    try:
        if not isinstance(pem, str) or len(pem) > _MAX_PEM:
            raise ValueError
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return [_error("/ca_pem", "invalid-ca-pem", "Give the certificates of the broker's CA as PEM.")]
    return []


def _files_errors(files: object) -> list[FieldError]:
    if files is None:
        return []
    directory = files.get("directory") if isinstance(files, Mapping) else None
    if isinstance(directory, str) and _FOLDER.fullmatch(directory) and ".." not in directory:
        return []
    detail = "Give the name of a folder in GATEHOUSE_HOME/brokers: letters, digits and . _ - without a separator."
    return [_error("/files/directory", "invalid-directory", detail)]
