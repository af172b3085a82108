"""A control connection to Mosquitto's dynamic security plugin: commands on `$CONTROL`, answers by correlation data.

One connection for each piece of work. All administrators share one response topic, so answers that are not ours go by.
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from brokers.adapters.dialed_clients import DialedMqtt
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.mosquitto.dynsec_changes import Command, batches
from brokers.core.mosquitto.version import version_in, version_note
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

COMMANDS = "$CONTROL/dynamic-security/v1"
RESPONSES = "$CONTROL/dynamic-security/v1/response"
VERSION = "$SYS/broker/version"
LOGS = ("$SYS/broker/log/I", "$SYS/broker/log/E")
_CONNECT_SECONDS = 4.0
_ANSWER_SECONDS = 5.0

Answer = Mapping[str, Any]


class CommandRefused(Conflict):
    """The broker refused a command of the dynamic security plugin."""

    code = "broker-refused"


class ControlConnection:
    """An open control connection. `version` is the broker's, empty if the account may not read it.

    With `hears_log` it keeps what the broker logs as information or errors, if that goes to topics.
    """

    def __init__(self, connection: MosquittoConnection, *, hears_log: bool = False) -> None:
        self._connection = connection
        self._topics = (VERSION, *LOGS) if hears_log else (VERSION,)
        self._client = DialedMqtt(
            CallbackAPIVersion.VERSION2,
            client_id=f"gatehouse-control-{secrets.token_hex(8)}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.username_pw_set(connection.username, connection.password)
        self._client.connect_timeout = _CONNECT_SECONDS
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._news = threading.Condition()
        self._answers: dict[str, Answer] = {}
        self._logged: list[str] = []
        self._failure = ""
        self._subscribed = False
        self.version = ""

    def open(self) -> None:
        """Connects, and subscribes to the answers. Raises BrokerUnreachable within about 10 s."""
        where = f"{self._connection.host}:{self._connection.port}"
        try:
            if self._connection.ca_pem:
                self._client.tls_set_context(ssl.create_default_context(cadata=self._connection.ca_pem))
            self._client.connect(self._connection.host, self._connection.port, keepalive=4)
        except (OSError, ValueError) as error:
            raise BrokerUnreachable(f"The broker at {where} does not answer ({_reason(error)}): is it up?") from error
        self._client.loop_start()
        self._wait(lambda: self._subscribed, seconds=_CONNECT_SECONDS, what=f"The broker at {where} does not answer")

    def close(self) -> None:
        """Ends the connection."""
        end_client(self._client)

    def await_version(self, seconds: float = 1.0) -> str:
        """The broker's version, a retained message; empty if it does not come."""
        with self._news:
            self._news.wait_for(lambda: bool(self.version), timeout=seconds)
        return self.version

    def ask(self, commands: Sequence[Command]) -> list[Answer]:
        """The answers in the order of the commands, in messages of at most 20. An error that is tolerated is one, too.

        A message is not atomic: commands beside a refused one are carried out.
        Raises BrokerUnreachable, CommandRefused.
        """
        answers: list[Answer] = []
        correlation = secrets.token_hex(8)
        for batch, text in batches(commands, correlation=correlation):
            names = [f"{correlation}-{len(answers) + number}" for number in range(len(batch))]
            self._client.publish(COMMANDS, text, qos=1)
            self._wait(
                lambda names=names: all(name in self._answers for name in names),
                seconds=_ANSWER_SECONDS,
                what="The broker has not answered: is its dynamic security plugin loaded, and may the account use it?",
            )
            answers += [self._answers.pop(name) for name in names]
            _refuse_errors(batch, answers[-len(batch) :])
        return answers

    def logged_since(self, line: str, *, seconds: float) -> list[str] | None:
        """What the broker logged from the first line that ends so, until it answers now; None if none came in time.

        Raises BrokerUnreachable, CommandRefused.
        """
        with self._news:
            self._news.wait_for(lambda: self._first(line) is not None, timeout=seconds)
            begin = self._first(line)
        if begin is None:
            return None
        self.ask([Command(name="getDefaultACLAccess", target="defaults", summary="")])
        with self._news:
            return self._logged[begin:]

    def _first(self, line: str) -> int | None:
        return next((number for number, each in enumerate(self._logged) if each.endswith(line)), None)

    def _wait(self, come: Any, *, seconds: float, what: str) -> None:
        with self._news:
            self._news.wait_for(lambda: bool(self._failure) or come(), timeout=seconds)
            if not come():
                reason = self._failure or f"nothing within {seconds:.0f} s"
                note = version_note(self.version) if self.version else ""
                raise BrokerUnreachable(f"{what} ({reason}). {note}".rstrip())

    def _tell(self) -> None:
        self._news.notify_all()

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            with self._news:
                self._failure = f"it refused the control account: {code}"
                self._tell()
            return
        client.subscribe([(RESPONSES, _options(1)), *((topic, _options(0)) for topic in self._topics)])

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        with self._news:
            if codes[0].is_failure:
                self._failure = "its control account may not use dynamic security"
            else:
                self._subscribed = True
            self._tell()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._news:
            if message.topic in LOGS:
                self._logged.append(message.payload.decode("utf-8", "replace"))
            elif message.topic == VERSION:
                self.version = version_in(message.payload.decode("utf-8", "replace"))
            else:
                self._keep_answers(bytes(message.payload))
            self._tell()

    def _keep_answers(self, payload: bytes) -> None:
        try:
            responses = json.loads(payload)["responses"]
        except (ValueError, KeyError, TypeError):
            return
        for response in responses:
            token = response.get("correlationData")
            if isinstance(token, str):
                self._answers[token] = response

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._news:
            self._failure = self._failure or f"the connection was lost: {code}"
            self._tell()


@contextmanager
def control(connection: MosquittoConnection, *, hears_log: bool = False) -> Iterator[ControlConnection]:
    """An open control connection that is closed at the end."""
    opened = ControlConnection(connection, hears_log=hears_log)
    try:
        opened.open()
        yield opened
    finally:
        opened.close()


def end_client(client: Client) -> None:
    """Ends a connection whose callbacks are methods of what holds the client.

    They would keep both, and so the sockets, until the collector comes; and paho takes no socket beyond the 1,023rd.
    """
    client.disconnect()
    client.loop_stop()
    for callback in ("on_connect", "on_subscribe", "on_message", "on_disconnect"):
        setattr(client, callback, None)


def _options(qos: int) -> SubscribeOptions:
    return SubscribeOptions(qos=qos)


def _refuse_errors(commands: Sequence[Command], answers: Sequence[Answer]) -> None:
    for command, answer in zip(commands, answers, strict=True):
        error = answer.get("error")
        if error is not None and error not in command.tolerates:
            raise CommandRefused(f"The broker refused {command.name} of {command.target}: {error}.")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
