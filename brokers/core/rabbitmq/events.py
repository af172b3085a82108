"""What RabbitMQ tells about connections over MQTT, and about accounts: in the headers of an event's message, and in its
list of connections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, BrokerEvent, DriftHint

_CHANGES = (
    "user.created",
    "user.deleted",
    "user.password.changed",
    "user.password.cleared",
    "user.tags.set",
    "permission.created",
    "permission.deleted",
    "topic.permission.created",
    "topic.permission.deleted",
)
ABOUT = ("connection.created", "connection.closed", "user.authentication.failure", *_CHANGES)
"""The routing keys that are read here."""

# In an event the map is Erlang's text. What a client chose is quoted there; a name that would need an escape is unread.
_CLIENT_ID = re.compile(r'#\{<<"client_id">> => <<"([^"\\]*)">>\}')


class EventReader:
    """Turns messages into events; keeps who is behind a connection, since its end names the connection alone.

    The server tells of all its virtual hosts. What is of another one is nobody's here, but for refused names: of these
    it does not say where they knocked.
    """

    def __init__(self, *, vhost: str, username: str) -> None:
        self._vhost, self._username = vhost, username
        self._open: dict[str, BrokerEvent] = {}

    def listed(self, connection: Mapping[str, Any]) -> BrokerEvent | None:
        """The beginning of a connection of RabbitMQ's list; None if it is not over MQTT."""
        found = connection.get("variable_map") or {}
        return self._begun(connection, client_id=str(found.get("client_id") or ""))

    def read(self, routing_key: str, headers: Mapping[str, Any]) -> BrokerEvent | DriftHint | None:
        """The event of a message; None if it is about something else than MQTT, or a change of our own."""
        if routing_key in _CHANGES:
            is_ours = headers.get("user_who_performed_action") == self._username
            return None if is_ours or headers.get("vhost", self._vhost) != self._vhost else DriftHint()
        if routing_key == "connection.created":
            found = _CLIENT_ID.fullmatch(str(headers.get("variable_map") or ""))
            return self._begun(headers, client_id=found[1] if found else "")
        at = _time(headers["timestamp_in_ms"])
        name = str(headers.get("name") or "")
        if routing_key == "user.authentication.failure":
            return BrokerEvent(
                at=at,
                kind=AccessKind.REFUSED,
                action=AccessAction.CONNECT,
                reason=AccessReason.NOT_AUTHORISED,
                auth_id=name,
                detail="RabbitMQ did not let it in.",
            )
        begun = self._open.pop(name, None)
        return BrokerEvent(
            at=at,
            kind=AccessKind.DISCONNECTED,
            action=AccessAction.CONNECT,
            auth_id=begun.auth_id if begun else "",
            client_id=begun.client_id if begun else "",
            connection_id=name,
        )

    def _begun(self, connection: Mapping[str, Any], *, client_id: str) -> BrokerEvent | None:
        if "MQTT" not in str(connection.get("protocol")) or connection.get("vhost") != self._vhost:
            return None
        name = str(connection["name"])  # "<address>:<port> -> <address>:<port>", by the broker
        event = BrokerEvent(
            at=_time(connection["connected_at"]),
            kind=AccessKind.CONNECTED,
            action=AccessAction.CONNECT,
            auth_id=str(connection.get("user") or ""),
            client_id=client_id,
            address=name.partition(" ")[0],
            connection_id=name,
        )
        self._open[name] = event
        return event


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
