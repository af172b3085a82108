"""A real RabbitMQ that holds a rendering, and a client that tries what an account may do.

RabbitMQ closes the connection of who asks for too much, so the client speaks MQTT 3.1.1 by hand and connects anew.
Every account has the password `p`; `root` may do everything, and is the one that publishes what others receive.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, RabbitUser, ResourcePermission, TopicPermission
from tests.servers import free_port, is_open, program, stop, wait_until

END = "zz/end"
"""Everybody may subscribe to it: what root publishes there last tells that nothing else comes."""
ROOT = RabbitUser(
    permission=ResourcePermission(configure=".*", write=".*", read=".*"),
    topics={EXCHANGE: TopicPermission(write=".*", read=".*")},
)
_SCRIPTS = Path("/usr/lib/rabbitmq/lib")
_PLUGINS = ("rabbitmq_mqtt", "rabbitmq_management")
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 2, 3, 4, 9


class Closed(Exception):
    """The broker closed the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rabbit:
    """A RabbitMQ that runs: its MQTT port, the port of its management API, that of its port mapper, and its folder."""

    port: int
    management: int
    mapper: int
    folder: Path

    def load(self, artifact: str) -> None:
        """Imports the rendering, with a password for each account, and `root` beside it."""
        document = json.loads(artifact)
        document["users"].append({"name": "root", "tags": []})
        document["permissions"].append({"user": "root", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"})
        for user in document["users"]:
            user["password_hash"] = _password_hash()
        for granted in document["topic_permissions"]:
            if granted["exchange"] == EXCHANGE:
                granted["read"] = f"^zz\\.end\\z|{granted['read']}"
        self._call("POST", "definitions", document)

    def definitions(self) -> dict[str, Any]:
        """What the broker exports."""
        found: dict[str, Any] = json.loads(self._call("GET", "definitions"))
        return found

    def run(self, call: str) -> None:
        """Makes Erlang's node run `<module> <function> [<arguments>]`."""
        cookie = (self.folder / ".erlang.cookie").read_text()
        words = [program("erl_call"), "-sname", f"gatehouse{self.port}@localhost", "-c", cookie, "-a", call]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "ERL_EPMD_PORT": str(self.mapper)}
        subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)

    def _call(self, method: str, path: str, document: object = None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.management}/api/{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Basic {base64.b64encode(b'guest:guest').decode()}",
            },
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            octets: bytes = answer.read()
            return octets


def with_root(state: RabbitState) -> RabbitState:
    """The state that the broker holds after `load`."""
    return RabbitState(users={**state.users, "root": ROOT}, vhost=state.vhost)


class Client:
    """One connection: with a password, or with the certificate of `tls`. Whatever is refused raises Closed."""

    def __init__(
        self,
        port: int,
        user: str,
        client_id: str,
        *,
        keep: bool = False,
        tls: ssl.SSLContext | None = None,
        password: str = "p",
        will: str = "",
    ) -> None:
        self.received: list[str] = []
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._stream = self._socket.makefile("rb")
        flags = (0 if tls else 0xC0) | (0 if keep else 2) | (0x0C if will else 0)  # name, password; clean; will, QoS 1
        proof = b"" if tls else _text(user) + _text(password)
        left = _text(will) + _text("will") if will else b""
        self._send(0x10, _text("MQTT") + bytes([4, flags]) + b"\0\0" + _text(client_id) + left + proof)
        try:
            if self._wait_for(_CONNACK)[1] != 0:
                raise Closed(f"{user} could not connect")
        except Closed:
            self.close()
            raise

    def publish(self, topic: str, payload: bytes = b"") -> None:
        self._send(0x32, _text(topic) + b"\0\1" + payload)
        self._wait_for(_PUBACK)

    def subscribe(self, filter: str, *, qos: int = 1) -> None:
        self._send(0x82, b"\0\1" + _text(filter) + bytes([qos]))
        assert self._wait_for(_SUBACK)[2] == min(qos, 1)

    def receive_until(self, topic: str) -> list[str]:
        """The topics of all messages up to the one on `topic`."""
        while topic not in self.received:
            self._note(*self._read())
        found, self.received = self.received[: self.received.index(topic)], []
        return found

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _wait_for(self, kind: int) -> bytes:
        while True:
            first, body = self._read()
            if first >> 4 == kind:
                return body
            self._note(first, body)

    def _note(self, first: int, body: bytes) -> None:
        assert first >> 4 == _PUBLISH, first
        length = 2 + struct.unpack(">H", body[:2])[0]
        self.received.append(body[2:length].decode())
        if first & 0x06:
            self._send(0x40, body[length : length + 2])

    def _send(self, first: int, body: bytes) -> None:
        length, octets = len(body), b""
        while True:
            length, digit = divmod(length, 128)
            octets += bytes([digit | (128 if length else 0)])
            if not length:
                break
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):  # reading tells
            self._socket.sendall(bytes([first]) + octets + body)

    def _read(self) -> tuple[int, bytes]:
        try:
            first = self._exactly(1)[0]
            length = shift = 0
            while True:
                digit = self._exactly(1)[0]
                length |= (digit & 127) << shift
                shift += 7
                if digit < 128:
                    return first, self._exactly(length)
        except (ConnectionResetError, ssl.SSLError) as error:
            raise Closed from error

    def _exactly(self, count: int) -> bytes:
        octets = self._stream.read(count)
        if len(octets) < count:
            raise Closed
        return octets


class Account:
    """Somebody who connects anew whenever the broker has closed the connection."""

    def __init__(self, port: int, user: str, client_id: str) -> None:
        self._facts = (port, user, client_id)
        self._client: Client | None = None

    def may_publish(self, topic: str) -> bool:
        try:
            self.client().publish(topic)
        except Closed:
            self.close()
            return False
        return True

    def may_subscribe(self, filter: str, *, qos: int = 1) -> bool:
        """Whether a new session may subscribe to it; it stays if so."""
        self.close()
        try:
            self.client().subscribe(filter, qos=qos)
        except Closed:
            self.close()
            return False
        return True

    def client(self) -> Client:
        self._client = self._client or Client(*self._facts)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


@contextmanager
def rabbitmq(folder: Path, *, plugins: Sequence[str] = (), more: str = "", advanced: str = "[].") -> Iterator[Rabbit]:
    """A fresh RabbitMQ, with a port mapper of its own, in `folder`; `more` are lines of rabbitmq.conf."""
    script = _script()
    mqtt, management, distribution, mapper = _free_ports(4)
    (folder / ".erlang.cookie").write_text(base64.b32encode(os.urandom(10)).decode())
    (folder / ".erlang.cookie").chmod(0o600)
    (folder / "enabled_plugins").write_text(f"[{','.join((*_PLUGINS, *plugins))}].\n")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp = none\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n"
        f"mqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}\nmqtt.allow_anonymous = false\nmqtt.exchange = {EXCHANGE}\n{more}"
    )
    (folder / "advanced.config").write_text(advanced)
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"gatehouse{mqtt}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    with _running([program("epmd")], environment, mapper, folder), _running([script], environment, mqtt, folder):
        wait_until(lambda: is_open(management), seconds=180, what="RabbitMQ's management API listens")
        yield Rabbit(port=mqtt, management=management, mapper=mapper, folder=folder)


@contextmanager
def _running(words: Sequence[str], environment: dict[str, str], port: int, folder: Path) -> Iterator[None]:
    with (folder / "out.log").open("ab") as log:
        server = subprocess.Popen(words, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: is_open(port), seconds=180, what=f"{words[0]} listens")
        yield
    finally:
        stop(server, by=signal.SIGKILL)  # nothing is kept


def _script() -> str:
    """The server itself: Debian's wrapper on PATH changes to an account that may not read our folder."""
    wrapper = program("rabbitmq-server")
    return str(next(_SCRIPTS.glob("rabbitmq_server-*/sbin/rabbitmq-server"), wrapper))


def _free_ports(count: int) -> list[int]:
    """As free_port, all different."""
    found: list[int] = []
    while len(found) < count:
        port = free_port()
        found += [port] if port not in found else []
    return found


def _password_hash() -> str:
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + b"p").digest()).decode()


def _text(text: str) -> bytes:
    octets = text.encode()
    return struct.pack(">H", len(octets)) + octets
