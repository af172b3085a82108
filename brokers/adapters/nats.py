"""A NATS server that asks us at each CONNECT (auth callout).

Nothing is stored there: what is applied is who is connected with which grant. A change of policy closes the connections
whose grant is no longer right; the devices come back and are judged anew. One server, no cluster.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Any, ClassVar

from nats.aio.msg import Msg

from acl.core.values import Principal, Request
from brokers.adapters.nats_system import in_time, kick, list_connections, system
from brokers.core import nats, nats_emulator
from brokers.core.callout import grant_digest, split_grant_name
from brokers.core.nats_connection import NatsConnection, connection_errors
from brokers.core.ports import (
    AppliedState,
    BrokerUnreachable,
    Capabilities,
    DesiredState,
    Effect,
    Rendering,
    Standing,
    Step,
)
from brokers.core.values import AccessKind, BrokerEvent, BrokerLink
from kernel.core.errors import FieldError

_SINGLE = 4


class NatsAdapter:
    """Speaks to one server over its system account."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        stores_policy=False,
        protocol_versions=("3.1.1",),
        placeholders=frozenset(),
        shared_subscriptions=False,
    )

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = NatsConnection.of(link.connection)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def render(self, desired: DesiredState) -> Rendering:
        """What each principal is granted when it connects."""
        return nats.render(desired.subjects)

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Who is connected with which grant: a JSON list of cid, auth_id and grant.

        Few principals are asked for by client id, which is their auth id; `disconnect` asks by the client id itself,
        and a check of the whole reads every connection.
        """

        async def work() -> tuple[str, list[dict[str, Any]]]:
            async with system(self._connection) as client:
                if only is None or len(only) > _SINGLE:
                    _, version, found = await list_connections(client)
                    return version, found
                version, found = "", []
                for auth_id in sorted(only) or ["-"]:
                    _, version, some = await list_connections(client, client_id=auth_id)
                    found += some
                return version, found

        version, found = in_time(work())
        held = [_held(each) for each in found]
        applied = [each for each in held if only is None or each["auth_id"] in only]
        return AppliedState(artifact=json.dumps(applied), version=version, only=only)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """A close for each connection whose grant is not the one that its principal would get now."""
        granted = {
            subject.principal.auth_id: grant_digest(nats.permissions(subject))
            for subject in desired.subjects
            if subject.state is Standing.ADMITTED
        }
        return tuple(
            Step(
                kind="close-connection",
                target=held["auth_id"],
                summary=f"Close the connection of {held['auth_id']}, whose grant has changed.",
                payload=str(held["cid"]),
            )
            for held in json.loads(applied.artifact or "[]")
            if granted.get(held["auth_id"]) != held["grant"]
        )

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Nothing that can be told: the server does not say what it granted, only which grant it was."""
        del desired, applied
        return Effect()

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Closes the connections."""
        between()

        async def work() -> None:
            async with system(self._connection) as client:
                server, _, _ = await list_connections(client, client_id="-")
                for step in steps:
                    await kick(client, server=server, cid=int(step.payload))

        in_time(work(), seconds=60)

    def disconnect(self, principal: Principal) -> int:
        """Closes what is left of the principal; -1 if that was nothing, since a plan may have closed it before."""

        async def work() -> int:
            async with system(self._connection) as client:
                server, _, found = await list_connections(client, client_id=principal.client_id)
                for each in found:
                    await kick(client, server=server, cid=each["cid"])
                return len(found)

        return in_time(work()) or -1

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether the server would allow the request."""
        granted = nats.parse(rendering.artifact).get(principal.auth_id, nats.NOTHING)
        return nats_emulator.emulate(granted, request)

    def publish_crl(self, pem: str) -> str:
        """Nothing: the callout sees each certificate's state."""
        del pem
        return ""

    def present(self) -> Sequence[BrokerEvent]:
        """Every connection there is now."""

        async def work() -> list[dict[str, Any]]:
            async with system(self._connection) as client:
                return (await list_connections(client))[2]

        return [_present(each) for each in in_time(work())]

    def watch(self, stop: Event) -> Iterator[BrokerEvent]:
        """Connects and disconnects of devices."""
        with asyncio.Runner() as runner:
            feed = _Feed(self._connection)
            try:
                runner.run(feed.open())
                while not stop.is_set():
                    if event := runner.run(feed.next()):
                        yield event
                    if feed.lost:
                        return
            except (OSError, TimeoutError, ValueError, KeyError) as error:
                raise BrokerUnreachable("The NATS server does not answer: is it up?") from error
            finally:
                runner.run(feed.close())


class _Feed:
    """The advisories of the devices' account, as events."""

    def __init__(self, connection: NatsConnection) -> None:
        self._account = connection.account
        self._context = system(connection)
        self._events: asyncio.Queue[BrokerEvent] = asyncio.Queue(10_000)
        self._client: Any = None

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._client.is_closed)

    async def open(self) -> None:
        """Connects, and listens from now on."""
        self._client = await self._context.__aenter__()
        for kind in ("CONNECT", "DISCONNECT"):
            await self._client.subscribe(f"$SYS.ACCOUNT.{self._account}.{kind}", cb=self._take)

    async def next(self) -> BrokerEvent | None:
        """The next event, or None if there is none for a quarter of a second."""
        try:
            return await asyncio.wait_for(self._events.get(), 0.25)
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Ends the connection."""
        if self._client is not None:
            await self._context.__aexit__(None, None, None)

    async def _take(self, message: Msg) -> None:
        document = json.loads(message.data)
        client = document.get("client", {})
        if client.get("client_type") == "mqtt" and not self._events.full():
            self._events.put_nowait(_event(document, client, is_connect=message.subject.endswith(".CONNECT")))


def _held(connection: dict[str, Any]) -> dict[str, Any]:
    auth_id, digest = split_grant_name(str(connection.get("authorized_user", "")))
    return {"cid": connection["cid"], "auth_id": auth_id, "grant": digest}


def _present(connection: dict[str, Any]) -> BrokerEvent:
    auth_id, digest = split_grant_name(str(connection.get("authorized_user", "")))
    return BrokerEvent(
        at=_moment(connection["start"]),
        kind=AccessKind.CONNECTED,
        auth_id=auth_id,
        client_id=str(connection.get("mqtt_client", "")),
        address=str(connection.get("ip", "")),
        connection_id=str(connection["cid"]),
        grant_digest=digest,
    )


def _event(document: dict[str, Any], client: dict[str, Any], *, is_connect: bool) -> BrokerEvent:
    auth_id, digest = split_grant_name(str(client.get("user", "")))
    return BrokerEvent(
        at=_moment(document["timestamp"]),
        kind=AccessKind.CONNECTED if is_connect else AccessKind.DISCONNECTED,
        auth_id=auth_id,
        client_id=str(client.get("client_id", "")),
        address=str(client.get("host", "")),
        detail="" if is_connect else str(document.get("reason", "")),
        connection_id=str(client.get("id", "")),
        grant_digest=digest,
    )


def _moment(text: str) -> datetime:
    """A time that Go wrote, which has nanoseconds."""
    head, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(rest + '000000')[:6]}").replace(tzinfo=UTC)
