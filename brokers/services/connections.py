"""What a connection has to keep clear of: other brokers' folders, and devices' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokers import queries
from brokers.core.hivemq.connection import log_folder_of
from brokers.core.mosquitto.connection import folder_of
from brokers.core.values import BrokerId
from devices.queries import find_principal_by_auth_id
from kernel.core.errors import Conflict, FieldError
from kernel.core.ids import DomainId


class FolderShared(Conflict):
    """Another broker, of this domain or another, has that folder."""

    code = "broker-folder-shared"


class AccountShared(Conflict):
    """A device has the name of the account by which the broker is controlled."""

    code = "broker-account-shared"


def control_name_of(connection: Mapping[str, Any]) -> str:
    """The name of the account by which the broker is controlled, or empty."""
    return str(connection.get("username") or "")


def check_connection(connection: Mapping[str, Any], *, domain: DomainId, broker: BrokerId) -> None:
    """Raises FolderShared and AccountShared.

    One domain's CRLs in place of another's would shut all of its devices out, and whoever names another's folder of
    access logs would read who its clients are. A device whose certificate carries the control account's name would be
    that account, where the broker takes the name from the certificate.
    """
    folders = _folders(connection)
    others = [each for each in queries.all_brokers() if each != broker] if folders else []
    taken = {folder for each in others for folder in _folders(queries.link_to(broker=each).connection)}
    for folder, part in folders.items():
        if folder in taken:
            detail = "belongs to another broker: give each a folder of its own"
            fault = FieldError(pointer=f"/connection/{part}/directory", code=FolderShared.code, detail=detail)
            raise FolderShared(f"The folder {folder!r} {detail}.", errors=(fault,))
    if find_principal_by_auth_id(domain=domain, auth_id=control_name_of(connection)):
        detail = "is the name of a device or application, which would control the broker: choose another account"
        fault = FieldError(pointer="/connection/username", code=AccountShared.code, detail=f"It {detail}.")
        raise AccountShared(f"The control account {detail}.", errors=(fault,))


def _folders(connection: Mapping[str, Any]) -> dict[str, str]:
    """The folders that are shared with the broker, each with the part of the connection that names it."""
    named = {folder_of(connection): "files", log_folder_of(connection): "log"}
    return {folder: part for folder, part in named.items() if folder}
