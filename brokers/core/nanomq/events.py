"""NanoMQ's webhook: `on_client_connack`, `on_client_disconnected` and `on_message_publish`. From its source.

Neither address nor time of a connection is told; of an end, whether it was a normal one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from brokers.core.access.ingest import Members, name, username
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.decide.decisions import Unreadable
from brokers.core.decide.reading import number, text
from brokers.core.values import AccessKind, BrokerEvent


def read_event(members: Members, _hook: str, now: datetime) -> Iterator[BrokerEvent]:
    """The event; nothing if it is one that the access log has no line for. Raises Unreadable."""
    match text(members, "action"):
        case "client_connack":
            yield _answered(members, now)
        case "client_disconnected":
            lost = text(members, "reason") != "normal"
            reason = AccessReason.CONNECTION_LOST if lost else AccessReason.DISCONNECTED
            yield _event(members, AccessKind.DISCONNECTED, now, reason=reason)
        case "message_publish":
            yield BrokerEvent(
                at=now,
                kind=AccessKind.ALLOWED,
                action=AccessAction.PUBLISH,
                topic=text(members, "topic"),
                qos=number(members, "qos", low=0, high=2),
                auth_id=username(members, "from_username"),
                client_id=name(members, "from_client_id"),
            )


def _answered(members: Members, now: datetime) -> BrokerEvent:
    admitted = text(members, "conn_ack") == "success"
    return _event(members, AccessKind.CONNECTED if admitted else AccessKind.REFUSED, now)


def _event(members: Members, kind: AccessKind, now: datetime, *, reason: AccessReason | None = None) -> BrokerEvent:
    client_id = name(members, "clientid")
    if not client_id and kind is not AccessKind.REFUSED:
        raise Unreadable("There is no clientid.")
    return BrokerEvent(
        at=now,
        kind=kind,
        action=AccessAction.CONNECT,
        reason=reason,
        auth_id=username(members),
        client_id=client_id,
    )
