"""The NATS system account: who is connected, closing connections, and the server's advisories."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from brokers.adapters.dialing import addresses_of
from brokers.core.nats.connection import NatsConnection
from brokers.core.ports import BrokerUnreachable

PAGE = 1024
ANSWER_SECONDS = 3
CONNECT_SECONDS = 4
CLOSE_SECONDS = 1
WHOLE_SECONDS = 12
PING_SECONDS = 3  # a server that is silent for two of these is lost
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What CONNZ says: the server's id and version, and connections as it describes them."""

    server: str
    version: str
    connections: tuple[dict[str, Any], ...]


def in_time(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What the work brings, run to its end here within 12 s. Raises BrokerUnreachable."""

    async def bounded() -> _Result:
        return await asyncio.wait_for(work, WHOLE_SECONDS)

    try:
        return asyncio.run(bounded())
    except NoRespondersError as error:
        raise BrokerUnreachable(
            "The NATS server does not take us for its system account: its accounts were changed, and whom it lets in "
            "now nobody here knows. Give it back its configuration."
        ) from error
    except (NatsError, OSError, TimeoutError, ValueError, KeyError) as error:
        raise BrokerUnreachable("The NATS server does not answer, or not in time: is it up?") from error


@asynccontextmanager
async def connected(
    connection: NatsConnection, *, user: str, password: str, lost: asyncio.Event | None = None
) -> AsyncIterator[Client]:
    """A connection as one of our two users; it is not made again when it is lost, which sets `lost`."""

    async def closed() -> None:
        if lost is not None:
            lost.set()

    scheme, tls = "nats", None
    if connection.ca_pem:
        scheme, tls = "tls", ssl.create_default_context(cadata=connection.ca_pem)
    addresses = await asyncio.to_thread(addresses_of, connection.host, connection.port, timeout=CONNECT_SECONDS)
    client = Client()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client.connect(
                [f"{scheme}://{_in_url(address)}:{connection.port}" for address in addresses],
                user=user,
                password=password,
                tls=tls,
                tls_hostname=connection.host,
                dont_randomize=True,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # these two: a port that refuses is no reason to wait
                reconnect_time_wait=0,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=2,
                error_cb=_ignore,
                closed_cb=closed,
            )
        yield client
    finally:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await asyncio.wait_for(client.close(), CLOSE_SECONDS)


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


async def _ignore(_error: Exception) -> None:
    """What fails fails the call that is under way; nats-py would print it as well."""


@asynccontextmanager
async def system(connection: NatsConnection) -> AsyncIterator[Client]:
    """A connection to the system account. Raises NoRespondersError if the user is one of another account.

    A server without accounts lets anybody in, as anybody, and answers most of what is asked here with what is right.
    """
    async with connected(connection, user=connection.system_user, password=connection.system_password) as client:
        await client.request("$SYS.REQ.SERVER.PING.IDZ", b"", timeout=ANSWER_SECONDS)
        yield client


async def list_connections(client: Client, *, account: str, client_id: str = "", user: str = "") -> Connections:
    """Every MQTT connection of the account, or those with that client id, or of that user.

    Other accounts of the server are other people's.
    """
    found: list[dict[str, Any]] = []
    while True:
        asked: dict[str, Any] = {"auth": True, "acc": account, "limit": PAGE, "offset": len(found)}
        if client_id:
            asked["mqtt_client"] = client_id
        if user:
            asked["user"] = user
        answer = await client.request("$SYS.REQ.SERVER.PING.CONNZ", json.dumps(asked).encode(), timeout=ANSWER_SECONDS)
        document = json.loads(answer.data)
        page = document["data"].get("connections") or []
        found += page
        if len(page) < PAGE:
            server = document["server"]
            devices = tuple(each for each in found if each.get("type") == "mqtt")
            return Connections(server=server["id"], version=server["ver"], connections=devices)


def close_connections(connection: NatsConnection, *, client_id: str = "", user: str = "") -> int:
    """How many connections of that client id or user were closed; -1 if none, since they may have been before."""

    async def work() -> int:
        async with system(connection) as client:
            listed = await list_connections(client, account=connection.account, client_id=client_id, user=user)
            for each in listed.connections:
                await kick(client, server=listed.server, cid=each["cid"])
            return len(listed.connections)

    return in_time(work()) or -1


async def configuration_digest(client: Client) -> str:
    """That of what the server has read of its configuration, files in it included, comments not."""
    answer = await client.request("$SYS.REQ.SERVER.PING.VARZ", b"{}", timeout=ANSWER_SECONDS)
    return str(json.loads(answer.data)["data"].get("config_digest", ""))


async def reload(client: Client, *, server: str) -> str:
    """Has the server read its configuration; why it would not, and goes on with the old one, else empty."""
    answer = await client.request(f"$SYS.REQ.SERVER.{server}.RELOAD", b"", timeout=ANSWER_SECONDS)
    fault = json.loads(answer.data).get("error") or {}
    return str(fault.get("description", ""))


async def kick(client: Client, *, server: str, cid: int) -> None:
    """Closes the connection. One that is gone is no fault; nor is a server that is: its connections went with it."""
    asked = json.dumps({"cid": cid}).encode()
    with contextlib.suppress(NoRespondersError):
        await client.request(f"$SYS.REQ.SERVER.{server}.KICK", asked, timeout=ANSWER_SECONDS)
