"""Listening to RabbitMQ's event exchange, by a queue of our own that keeps what is told while nobody listens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

from brokers.adapters.json_api import JsonApi
from brokers.adapters.rabbitmq_management import management
from brokers.core.api_path import path
from brokers.core.ports import BrokerUnreachable
from brokers.core.rabbitmq.connection import RabbitConnection
from brokers.core.rabbitmq.events import ABOUT, EventReader
from brokers.core.values import AccessKind, BrokerEvent, FeedItem

EXCHANGE = "amq.rabbitmq.event"
QUEUE = "gatehouse.events"
_KEPT = 50_000
_KEPT_SECONDS = 24 * 3600
_AT_ONCE = 500
_PAUSE_SECONDS = 0.5


def watch(connection: RabbitConnection, stop: Event) -> Iterator[FeedItem]:
    """Events until `stop` is set, after those of the last day that nobody has read, at most 50,000.

    First it says when the broker started, and who is connected. It hints at drift when somebody else changes accounts
    or permissions. Raises BrokerUnreachable.
    """
    reader = EventReader(vhost=connection.vhost, username=connection.username)
    with management(connection) as broker:
        _listen(broker, connection.vhost)
        yield _started(broker)
        for listed in broker.get("connections") or ():
            event = reader.listed(listed)
            if event is not None:
                yield event
        asked = {"count": _AT_ONCE, "ackmode": "ack_requeue_false", "encoding": "auto"}
        while not stop.is_set():
            messages = broker.ask("POST", path("queues", connection.vhost, QUEUE, "get"), asked)
            if messages is None:
                raise BrokerUnreachable(f"The queue {QUEUE} of RabbitMQ is gone: somebody has deleted it.")
            for message in messages:
                told = reader.read(message["routing_key"], message["properties"].get("headers", {}))
                if told is not None:
                    yield told
            if not messages:
                stop.wait(_PAUSE_SECONDS)


def _listen(broker: JsonApi, vhost: str) -> None:
    """Makes the queue, unless it is there, and has it told what is read here. Raises BrokerUnreachable."""
    if broker.get("exchanges", vhost, EXCHANGE) is None:
        raise BrokerUnreachable(
            f"RabbitMQ has no exchange {EXCHANGE} in the virtual host {vhost!r}: enable its plugin "
            "rabbitmq_event_exchange, without which Gatehouse does not learn who is connected."
        )
    arguments = {"x-max-length": _KEPT, "x-expires": _KEPT_SECONDS * 1000}
    broker.ask("PUT", path("queues", vhost, QUEUE), {"durable": True, "arguments": arguments})
    for routing_key in ABOUT:
        broker.ask("POST", path("bindings", vhost, "e", EXCHANGE, "q", QUEUE), {"routing_key": routing_key})


def _started(broker: JsonApi) -> BrokerEvent:
    """When the node that is up the longest started; a second is for its start itself."""
    uptime = max((int(node.get("uptime", 0)) for node in broker.get("nodes") or ()), default=0)
    at = datetime.now(UTC) - timedelta(milliseconds=uptime, seconds=1)
    return BrokerEvent(at=at, kind=AccessKind.STARTED)
