"""A NATS server's advisories, and the connections that it lists, as events of the access log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from brokers.adapters.inbox import Inbox
from brokers.adapters.nats_system import ANSWER_SECONDS, system
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.nats.callout import split_grant_name
from brokers.core.nats.connection import NatsConnection
from brokers.core.nats.events import reason_of
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AccessKind, BrokerEvent, DriftHint, FeedItem

_LOOK_SECONDS = 0.25


def hear(connection: NatsConnection, stop: Event) -> Iterator[FeedItem]:
    """Connects and ends of the account's devices, and refusals; None when nothing happens.

    First of all None and a hint, since nobody knows what happened before. Ends soon after `stop` is set or when the
    connection is lost. Raises BrokerUnreachable.
    """
    feed = _Feed(connection)
    thread = Thread(target=feed.run, name="nats-feed", daemon=True)
    thread.start()
    try:
        feed.is_open.wait()
        if feed.fault is None:
            yield None
            yield DriftHint()
            yield from feed.events.taken(stop)
    finally:
        feed.left.set()
        thread.join()
    if feed.fault is not None:
        raise BrokerUnreachable("The NATS server does not answer: is it up?") from feed.fault


class _Feed:
    """The advisories of the devices' account, as events. It has a thread, so that the server never waits for a watcher.

    `is_open` is set once it is heard what happens, or a `fault` says why not; it ends soon after `left` is set.
    """

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self.events: Inbox[BrokerEvent] = Inbox()
        self.is_open, self.left = Event(), Event()
        self.fault: Exception | None = None

    def run(self) -> None:
        """Until the connection is lost or nobody takes any more."""
        try:
            asyncio.run(self._listen())
        except (NatsError, OSError, TimeoutError, ValueError, KeyError) as error:
            self.fault = error
        finally:
            self.events.end()
            self.is_open.set()

    async def _listen(self) -> None:
        async with system(self._connection) as client:
            for kind in ("CONNECT", "DISCONNECT"):
                await client.subscribe(f"$SYS.ACCOUNT.{self._connection.account}.{kind}", cb=self._take)
            await client.subscribe("$SYS.SERVER.*.CLIENT.AUTH.ERR", cb=self._take_refusal)
            await client.flush(ANSWER_SECONDS)
            self.is_open.set()
            while not client.is_closed and not await asyncio.to_thread(self.left.wait, _LOOK_SECONDS):
                continue

    async def _take(self, message: Msg) -> None:
        document = json.loads(message.data)
        client = document.get("client", {})
        if client.get("client_type") == "mqtt":
            self.events.put(_event(document, client, is_connect=message.subject.endswith(".CONNECT")))

    async def _take_refusal(self, message: Msg) -> None:
        """Whom the callout refuses the callout writes down; the server asks it about everybody but our own users."""
        document = json.loads(message.data)
        client = document.get("client", {})
        ours = client.get("user") in {self._connection.system_user, self._connection.callout_user} - {""}
        if ours or (not self._connection.callout_user and client.get("client_type") == "mqtt"):
            self.events.put(_refusal(document, client, ours=ours))


def present_event(connection: dict[str, Any]) -> BrokerEvent:
    """A connection that CONNZ lists, as the event that began it."""
    auth_id, digest = split_grant_name(str(connection.get("authorized_user", "")))
    return BrokerEvent(
        at=_moment(connection["start"]),
        kind=AccessKind.CONNECTED,
        action=AccessAction.CONNECT,
        auth_id=auth_id,
        client_id=str(connection.get("mqtt_client", "")),
        address=str(connection.get("ip", "")),
        connection_id=str(connection["cid"]),
        grant_digest=digest,
    )


def _event(document: dict[str, Any], client: dict[str, Any], *, is_connect: bool) -> BrokerEvent:
    auth_id, digest = split_grant_name(str(client.get("user", "")))
    return BrokerEvent(
        at=_moment(client["start"] if is_connect else document["timestamp"]),
        kind=AccessKind.CONNECTED if is_connect else AccessKind.DISCONNECTED,
        action=AccessAction.CONNECT,
        reason=None if is_connect else reason_of(str(document.get("reason", ""))),
        auth_id=auth_id,
        client_id=str(client.get("client_id", "")),
        address=str(client.get("host", "")),
        detail="" if is_connect else str(document.get("reason", "")),
        connection_id=str(client.get("id", "")),
        grant_digest=digest,
    )


def _refusal(document: dict[str, Any], client: dict[str, Any], *, ours: bool) -> BrokerEvent:
    said = f"Somebody tried to get in as {client['user']}, which is Gatehouse's own." if ours else ""
    return BrokerEvent(
        at=_moment(document["timestamp"]),
        kind=AccessKind.REFUSED,
        action=AccessAction.CONNECT,
        reason=AccessReason.RESERVED_NAME if ours else AccessReason.NOT_AUTHORISED,
        auth_id="" if ours else str(client.get("user", "")),
        client_id="" if ours else str(client.get("client_id", "")),
        address=str(client.get("host", "")),
        detail=said,
    )


def _moment(text: str) -> datetime:
    """A time that Go wrote, which has nanoseconds."""
    head, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(rest + '000000')[:6]}").replace(tzinfo=UTC)
