"""VerneMQ's webhooks that tell and do not ask (`on_…`), told apart by the header `vernemq-hook`.

They carry no time. The end of a session names a client id alone, and neither says why it ended nor which connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from brokers.core.access.ingest import Members, name, username
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.decide.decisions import Unreadable
from brokers.core.decide.reading import number, text
from brokers.core.decide.vernemq import MOST_FILTERS
from brokers.core.values import AccessKind, BrokerEvent

_QOS = (0, 1, 2)


def read_event(members: Members, hook: str, now: datetime) -> Iterator[BrokerEvent]:
    """The events of a hook; nothing for those that the access log has no line for. Raises Unreadable.

    Clients of another mountpoint than the empty one are others, though they may be called alike: they are left out.
    """
    if name(members, "mountpoint"):
        return
    match hook.removesuffix("_m5"):
        case "on_register":
            yield _event(members, AccessKind.CONNECTED, now, address=name(members, "peer_addr"))
        case "on_client_offline" | "on_client_gone":
            yield _event(members, AccessKind.DISCONNECTED, now)
        case "on_publish":
            yield _event(
                members,
                AccessKind.ALLOWED,
                now,
                action=AccessAction.PUBLISH,
                topic=text(members, "topic"),
                qos=number(members, "qos", low=0, high=2),
            )
        case "on_subscribe":
            yield from _subscribed(members, now)


def _subscribed(members: Members, now: datetime) -> Iterator[BrokerEvent]:
    """A filter that was refused stands there as well, with something else than a QoS."""
    topics = members.get("topics")
    if not isinstance(topics, list) or len(topics) > MOST_FILTERS:
        raise Unreadable("topics is no list of filters.")
    for wanted in topics:
        if not isinstance(wanted, dict):
            raise Unreadable("A filter is no object.")
        granted = wanted.get("qos") in _QOS
        yield _event(
            members,
            AccessKind.ALLOWED if granted else AccessKind.DENIED,
            now,
            action=AccessAction.SUBSCRIBE,
            topic=text(wanted, "topic"),
            qos=number(wanted, "qos", low=0, high=2) if granted else None,
        )


def _event(
    members: Members,
    kind: AccessKind,
    now: datetime,
    *,
    action: AccessAction = AccessAction.CONNECT,
    topic: str = "",
    qos: int | None = None,
    address: str = "",
) -> BrokerEvent:
    client_id = text(members, "client_id")
    if not client_id:
        raise Unreadable("There is no client_id.")
    return BrokerEvent(
        at=now,
        kind=kind,
        action=action,
        topic=topic,
        qos=qos,
        reason=AccessReason.NOT_ALLOWED if kind is AccessKind.DENIED else None,
        auth_id=username(members),
        client_id=client_id,
        address=address,
    )
