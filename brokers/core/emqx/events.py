"""EMQX's events (5.8 and 6), as its rule engine hands them to an HTTP action: `SELECT * FROM "$events/…"`.

From the source (`emqx_rule_events`). The end of a connection does not say when it began; so a connection is known by
the client's address and port, which every event and the list of clients have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from brokers.core.access.ingest import Members, moment, name, username
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.decide.decisions import Unreadable
from brokers.core.decide.reading import number, text
from brokers.core.values import AccessKind, BrokerEvent

_ENDS: Mapping[str, AccessReason] = {
    "normal": AccessReason.DISCONNECTED,
    "disconnect_with_will_message": AccessReason.WITH_WILL,
    "kicked": AccessReason.BY_ADMINISTRATOR,
    "keepalive_timeout": AccessReason.KEEPALIVE_EXCEEDED,
    "not_authorized": AccessReason.NOT_AUTHORISED,
    "tcp_closed": AccessReason.CONNECTION_LOST,
    "ssl_closed": AccessReason.CONNECTION_LOST,
    "discarded": AccessReason.TAKEN_OVER,
    "takenover": AccessReason.TAKEN_OVER,
}
"""Those that are not here have no reason; EMQX's word stands in the detail."""
_REFUSALS: Mapping[str, AccessReason] = {
    "bad_username_or_password": AccessReason.NOT_AUTHORISED,
    "not_authorized": AccessReason.NOT_AUTHORISED,
    "banned": AccessReason.NOT_AUTHORISED,
    "bad_authentication_method": AccessReason.NOT_AUTHORISED,
    "client_identifier_not_valid": AccessReason.WRONG_CLIENT_ID,
    "malformed_packet": AccessReason.PROTOCOL_ERROR,
    "protocol_error": AccessReason.PROTOCOL_ERROR,
    "unsupported_protocol_version": AccessReason.PROTOCOL_ERROR,
}
_ADMITTED = ("success", "connection_accepted")  # `client.connected` tells of them


def connection_id(host: str, port: object) -> str:
    """How a connection is called: by where the client is."""
    return f"{host.strip('[]')} {port}"


def read_event(members: Members, _hook: str, now: datetime) -> Iterator[BrokerEvent]:
    """The event; nothing if it is one that the access log has no line for. Raises Unreadable."""
    reader = _READERS.get(text(members, "event"))
    if reader is not None:
        yield from reader(members, now)


def _connected(members: Members, now: datetime) -> Iterator[BrokerEvent]:
    yield _event(members, AccessKind.CONNECTED, at=moment(members, "connected_at", now=now))


def _ended(members: Members, now: datetime) -> Iterator[BrokerEvent]:
    said, at = text(members, "reason"), moment(members, "disconnected_at", now=now)
    yield _event(members, AccessKind.DISCONNECTED, at=at, reason=_ENDS.get(said), detail=said)


def _answered(members: Members, now: datetime) -> Iterator[BrokerEvent]:
    said = text(members, "reason_code")
    if said not in _ADMITTED:
        at, reason = moment(members, "timestamp", now=now), _REFUSALS.get(said)
        yield _event(members, AccessKind.REFUSED, at=at, reason=reason, detail=said)


def _judged(members: Members, now: datetime) -> Iterator[BrokerEvent]:
    action, result = text(members, "action"), text(members, "result")
    if action not in ("publish", "subscribe") or result not in ("allow", "deny"):
        raise Unreadable("Neither a publish nor a subscription was allowed or denied.")
    allowed = result == "allow"
    yield _event(
        members,
        AccessKind.ALLOWED if allowed else AccessKind.DENIED,
        at=moment(members, "timestamp", now=now),
        action=AccessAction(action),
        topic=text(members, "topic"),
        reason=None if allowed else AccessReason.NOT_ALLOWED,
    )


def _subscribed(members: Members, now: datetime) -> Iterator[BrokerEvent]:
    yield _event(
        members,
        AccessKind.ALLOWED,
        at=moment(members, "timestamp", now=now),
        action=AccessAction.SUBSCRIBE,
        topic=text(members, "topic"),
        qos=number(members, "qos", low=0, high=2),
    )


_READERS: Mapping[str, Callable[[Members, datetime], Iterator[BrokerEvent]]] = {
    "client.connected": _connected,
    "client.disconnected": _ended,
    "client.connack": _answered,
    "client.check_authz_complete": _judged,
    "session.subscribed": _subscribed,
}


def _event(
    members: Members,
    kind: AccessKind,
    *,
    at: datetime,
    action: AccessAction = AccessAction.CONNECT,
    topic: str = "",
    qos: int | None = None,
    reason: AccessReason | None = None,
    detail: str = "",
) -> BrokerEvent:
    host, _, port = name(members, "peername").rpartition(":")
    client_id = name(members, "clientid")
    if not client_id and kind is not AccessKind.REFUSED:
        raise Unreadable("There is no clientid.")
    return BrokerEvent(
        at=at,
        kind=kind,
        action=action,
        topic=topic,
        qos=qos,
        reason=reason,
        auth_id=username(members),
        client_id=client_id,
        address=name(members, "peername"),
        detail=detail,
        connection_id=connection_id(host, port) if host else "",
    )
