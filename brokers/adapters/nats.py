"""A NATS server that asks us at each CONNECT (auth callout).

Nothing is stored there: what is applied is who is connected with which grant. A change of policy closes the connections
whose grant is no longer right; the devices come back and are judged anew. One server, no cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from threading import Event
from typing import Any, ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.nats_feed import hear, present_event
from brokers.adapters.nats_system import Connections, close_connections, in_time, kick, list_connections, system
from brokers.core.nats import emulator as nats_emulator
from brokers.core.nats import policy as nats
from brokers.core.nats.callout import grant_digest, split_grant_name
from brokers.core.nats.connection import NatsConnection, connection_errors
from brokers.core.nats.version import refuse_leaky
from brokers.core.ports import (
    AppliedState,
    Capabilities,
    DesiredState,
    DeviationKind,
    Effect,
    Rendering,
    Standing,
    Step,
)
from brokers.core.values import AccessKind, BrokerEvent, BrokerLink, DriftHint, FeedItem
from kernel.core.errors import FieldError

_SINGLE = 4
_BATCH = 200
_WILL = "The last will of whoever is thrown out is published if its topic was granted: the server asks at CONNECT."


class NatsAdapter:
    """Speaks to one server over its system account."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        stores_policy=False,
        protocol_versions=("3.1.1",),
        placeholders=frozenset(),
        shared_subscriptions=False,
        limits=(*((limit.kind, limit.why) for limit in nats.LIMITS), (DeviationKind.WIDER, _WILL)),
        certificate_lag=timedelta(0),
    )

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = NatsConnection.of(link.connection)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def capabilities_here(self) -> Capabilities:
        """Those of its kind."""
        return self.capabilities

    def render(self, desired: DesiredState) -> Rendering:
        """What each principal is granted when it connects."""
        return nats.render(desired.subjects)

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Who is connected with which grant: a JSON list of auth_id, grant, and the connection's server and cid.

        Few principals are asked for by client id, which is their auth id; `disconnect` asks by the client id itself,
        and a check of the whole reads every connection. Whom the server let in without asking us is foreign.
        """
        account = self._connection.account

        async def work() -> list[Connections]:
            async with system(self._connection) as client:
                if only is None or len(only) > _SINGLE:
                    return [await list_connections(client, account=account)]
                wanted = sorted(only) or ["-"]
                return [await list_connections(client, account=account, client_id=each) for each in wanted]

        found = in_time(work())
        held = [_held(each, listed.server) for listed in found for each in listed.connections]
        applied = [each for each in held if only is None or each["auth_id"] in only]
        unasked = frozenset(each["auth_id"] for each in applied if not each["grant"])
        return AppliedState(artifact=json.dumps(applied), version=found[0].version, only=only, foreign=unasked)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """A close for each connection whose grant is not the one that its principal would get now. Raises LeakyNats."""
        if desired.only is None:  # whoever is thrown out is so whatever the server is
            refuse_leaky(applied.version)
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
                payload=f"{held['server']} {held['cid']}",
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

        async def work(batch: Sequence[Step]) -> None:
            async with system(self._connection) as client:
                for step in batch:
                    server, cid = step.payload.split()
                    await kick(client, server=server, cid=int(cid))

        for start in range(0, len(steps), _BATCH):
            between()
            in_time(work(steps[start : start + _BATCH]))

    def disconnect(self, principal: Principal) -> int:
        """Closes what is left of the principal; -1 if that was nothing, since a plan may have closed it before."""
        return close_connections(self._connection, client_id=principal.client_id)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether the server would allow the request, and let whoever asks in."""
        if nats.refuses_client_id(principal.client_id):
            return False
        granted = nats.parse(rendering.artifact).get(principal.auth_id, nats.NOTHING)
        return nats_emulator.emulate(granted, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Nothing: the callout sees each certificate's state, and `brokers.embedded` writes the server's CA file."""
        del pem, trust
        return ""

    def present(self) -> Sequence[BrokerEvent]:
        """Every connection there is now."""

        async def work() -> Connections:
            async with system(self._connection) as client:
                return await list_connections(client, account=self._connection.account)

        return [present_event(each) for each in in_time(work()).connections]

    def watch(self, stop: Event) -> Iterator[FeedItem]:
        """Connects and disconnects of devices, and attempts to get in as one of us; None when nothing happens.

        It hints at drift when it begins to listen, and when the server let somebody in unasked.
        """
        for event in hear(self._connection, stop):
            yield event
            if isinstance(event, BrokerEvent) and event.kind is AccessKind.CONNECTED and not event.grant_digest:
                yield DriftHint()


def _held(connection: dict[str, Any], server: str) -> dict[str, Any]:
    auth_id, digest = split_grant_name(str(connection.get("authorized_user", "")))
    return {"auth_id": auth_id, "grant": digest, "server": server, "cid": connection["cid"]}
