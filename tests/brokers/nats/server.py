"""A real NATS server with our configuration, in a folder and on ports of its own, and whoever answers its callout."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

import nats
from nats.aio.msg import Msg

from brokers.core.nats import callout
from brokers.core.nats.callout import CalloutRequest
from brokers.core.nats.conf import NatsServer, render_conf
from brokers.core.nats.nkeys import AccountKey
from brokers.core.nats.policy import NatsPermissions
from brokers.core.values import AdapterKind, Broker, BrokerId, BrokerLink, Connection, SyncState
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId, new_id
from tests.servers import free_port, is_open, wait_until

PROGRAM = Path(sys.executable).parent / "nats-server"
LIFE = timedelta(minutes=10)


@dataclass
class LiveNats:
    """One server."""

    folder: Path
    client_port: int = field(default_factory=free_port)
    mqtt_port: int = field(default_factory=free_port)
    key: AccountKey = field(default_factory=AccountKey.generate)
    process: subprocess.Popen[bytes] | None = None

    @property
    def connection(self) -> dict[str, object]:
        """What a broker is registered with."""
        return {
            "host": "127.0.0.1",
            "port": self.client_port,
            "system_user": "test-system",
            "system_password": "a-system-password-of-the-tests",
            "callout_user": "test-callout",
            "callout_password": "a-callout-password-of-the-tests",
            "issuer_seed": self.key.seed,
            "account": "FLEET",
        }

    @property
    def link(self) -> BrokerLink:
        """The same, for an adapter, without a database."""
        broker = Broker(
            id=BrokerId(new_id()),
            domain=DomainId(new_id()),
            domain_slug="north",
            name="gw-1",
            kind=AdapterKind.NATS,
            listeners=(),
            sync=SyncState.UNKNOWN,
            detail="",
            version="",
            checked_at=None,
            last_seen_at=None,
            managed_since=None,
            converged_seq=0,
            created_at=utc_now(),
        )
        return BrokerLink(broker=broker, connection=Connection(self.connection))

    def prepare(self, *, client_ca: str, server_chain: str, server_key: str) -> None:
        """Writes the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {name: str(value) for name, value in self.connection.items() if name.endswith(("user", "password"))}
        conf = NatsServer(
            folder=self.folder,
            name="gw-1",
            client_port=self.client_port,
            mqtt_host="127.0.0.1",
            mqtt_port=self.mqtt_port,
            issuer=self.key.public,
            account="FLEET",
            **known,
        )
        texts = {"nats.conf": render_conf(conf), "ca.crt": client_ca, "server.crt": server_chain}
        for name, text in {**texts, "server.key": server_key}.items():
            (self.folder / name).write_text(text)

    def start(self, *, devices: bool = True) -> None:
        """Starts it and waits until both ports answer, or that of NATS' own protocol."""
        words = [str(PROGRAM), "--config", str(self.folder / "nats.conf"), "--log", str(self.folder / "log")]
        self.process = subprocess.Popen(words)
        for port in (self.client_port, self.mqtt_port)[: 1 + devices]:
            wait_until(lambda port=port: is_open(port), what="NATS listens")  # type: ignore[misc]

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(by)
            self.process.wait(60)
            self.process = None

    def pause(self) -> None:
        """It keeps its sockets and answers nobody."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `pause`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "log").read_text()


class Doorman:
    """Answers the callout as `grants` says, without a database: None refuses. Remembers what it was asked."""

    def __init__(self, server: LiveNats, grants: Callable[[CalloutRequest], NatsPermissions | None]) -> None:
        self.asked: list[CalloutRequest] = []
        self.life = LIFE
        self.grants = grants
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(90)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(90)
        self._loop.close()

    async def _serve(self) -> None:
        known = self._server.connection
        client = await nats.connect(
            f"nats://127.0.0.1:{self._server.client_port}",
            user=known["callout_user"],
            password=known["callout_password"],
        )
        await client.subscribe("$SYS.REQ.USER.AUTH", cb=self._answer)
        await client.flush()
        self._ready.set()
        await self._end.wait()
        await client.close()

    async def _answer(self, message: Msg) -> None:
        request = callout.parse_request(message.data.decode())
        self.asked.append(request)
        granted, now = self.grants(request), utc_now()
        if granted is None:
            said = callout.refuse(request, key=self._server.key, why="no", now=now)
        else:
            said = callout.grant(
                request,
                key=self._server.key,
                account="FLEET",
                auth_id=request.client_id,
                granted=granted,
                expires_at=now + self.life,
                now=now,
            )
        await message.respond(said.encode())
