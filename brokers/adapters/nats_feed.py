"""A NATS server's advisories, and the connections that it lists, as events of the access log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from brokers.adapters.nats_system import ANSWER_SECONDS, system
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.nats.callout import split_grant_name
from brokers.core.nats.connection import NatsConnection
from brokers.core.nats.events import reason_of
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AccessKind, BrokerEvent, DriftHint, FeedItem

_LISTEN_SECONDS = 0.25


def hear(connection: NatsConnection, stop: Event) -> Iterator[FeedItem]:
    """Connects and ends of the account's devices, and refusals; None when nothing happens, and first of all.

    Ends soon after `stop` is set or when the connection is lost. Raises BrokerUnreachable.
    """
    with asyncio.Runner() as runner:
        feed = _Feed(connection)
        try:
            runner.run(feed.open())
            yield None
            yield DriftHint()
            while not stop.is_set() and not feed.lost:
                yield runner.run(feed.next())
        except (NatsError, OSError, TimeoutError, ValueError, KeyError) as error:
            raise BrokerUnreachable("The NATS server does not answer: is it up?") from error
        finally:
            runner.run(feed.close())


class _Feed:
    """The advisories of the devices' account, as events."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._context = system(connection)
        self._events: asyncio.Queue[BrokerEvent] = asyncio.Queue(10_000)
        self._client: Any = None

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._client.is_closed)

    async def open(self) -> None:
        """Connects; whatever happens from now on is heard."""
        self._client = await self._context.__aenter__()
        for kind in ("CONNECT", "DISCONNECT"):
            await self._client.subscribe(f"$SYS.ACCOUNT.{self._connection.account}.{kind}", cb=self._take)
        await self._client.subscribe("$SYS.SERVER.*.CLIENT.AUTH.ERR", cb=self._take_refusal)
        await self._client.flush(ANSWER_SECONDS)

    async def next(self) -> BrokerEvent | None:
        """The next event, or None if there is none for a quarter of a second."""
        try:
            return await asyncio.wait_for(self._events.get(), _LISTEN_SECONDS)
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Ends the connection."""
        if self._client is not None:
            await self._context.__aexit__(None, None, None)

    async def _take(self, message: Msg) -> None:
        document = json.loads(message.data)
        client = document.get("client", {})
        if client.get("client_type") == "mqtt":
            self._put(_event(document, client, is_connect=message.subject.endswith(".CONNECT")))

    async def _take_refusal(self, message: Msg) -> None:
        """Whom the callout refuses the callout writes down; the server asks it about everybody but our own users."""
        document = json.loads(message.data)
        client = document.get("client", {})
        ours = client.get("user") in {self._connection.system_user, self._connection.callout_user} - {""}
        if ours or (not self._connection.callout_user and client.get("client_type") == "mqtt"):
            self._put(_refusal(document, client, ours=ours))

    def _put(self, event: BrokerEvent) -> None:
        if not self._events.full():
            self._events.put_nowait(event)


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
