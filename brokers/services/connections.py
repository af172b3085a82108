"""What a connection has to keep clear of: other brokers' folders, and devices' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokers import queries
from brokers.core.mosquitto_connection import folder_of
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

    One domain's CRLs in place of another's would shut all of its devices out; and a device whose certificate carries
    the control account's name would be that account, where the broker takes the name from the certificate.
    """
    folder = folder_of(connection)
    others = [each for each in queries.all_brokers() if each != broker]
    if folder and any(folder == folder_of(queries.link_to(broker=each).connection) for each in others):
        detail = "belongs to another broker: give each a folder of its own"
        fault = FieldError(pointer="/connection/files/directory", code=FolderShared.code, detail=detail)
        raise FolderShared(f"The folder {folder!r} {detail}.", errors=(fault,))
    if find_principal_by_auth_id(domain=domain, auth_id=control_name_of(connection)):
        detail = "is the name of a device or application, which would control the broker: choose another account"
        fault = FieldError(pointer="/connection/username", code=AccountShared.code, detail=f"It {detail}.")
        raise AccountShared(f"The control account {detail}.", errors=(fault,))
