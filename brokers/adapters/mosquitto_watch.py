"""Listening to what Mosquitto logs on `$SYS/broker/log`: who comes, goes, subscribes, and changes accounts."""

from __future__ import annotations

import re
import secrets
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from brokers.adapters.dialed_clients import DialedMqtt
from brokers.adapters.inbox import Inbox
from brokers.adapters.mosquitto_control import end_client
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.mosquitto.log import LogReader, changed_by, uptime_seconds
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AccessKind, BrokerEvent, DriftHint, EventsLost, FeedItem

NOTICES = "$SYS/broker/log/N"
ERRORS = "$SYS/broker/log/E"
INFORMATION = "$SYS/broker/log/I"
SUBSCRIPTIONS = "$SYS/broker/log/M/subscribe"
UPTIME = "$SYS/broker/uptime"
_LONGEST_LINE = 8_192  # names and topics of devices have room in it; what is longer would fill the memory
_OWN = ("gatehouse-control-", "gatehouse-watch-")
_CONNECT_SECONDS = 4.0

Line = tuple[str, str, datetime]


class _Listener:
    """A connection of its own that puts lines into an inbox, and ends it when it is lost."""

    def __init__(self, connection: MosquittoConnection) -> None:
        self.lines: Inbox[Line] = Inbox()
        self._client = DialedMqtt(
            CallbackAPIVersion.VERSION2,
            client_id=f"gatehouse-watch-{secrets.token_hex(8)}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.username_pw_set(connection.username, connection.password)
        self._client.connect_timeout = _CONNECT_SECONDS
        if connection.ca_pem:
            self._client.tls_set_context(ssl.create_default_context(cadata=connection.ca_pem))
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._where = (connection.host, connection.port)

    def open(self) -> None:
        """Connects. Raises BrokerUnreachable."""
        host, port = self._where
        try:
            self._client.connect(host, port, keepalive=10)
        except (OSError, ValueError) as error:
            raise BrokerUnreachable(f"The broker at {host}:{port} does not answer: is it up?") from error
        self._client.loop_start()

    def close(self) -> None:
        """Ends the connection."""
        end_client(self._client)

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.lines.end()
        else:
            client.subscribe([(topic, 0) for topic in (UPTIME, NOTICES, ERRORS, INFORMATION, SUBSCRIPTIONS)])

    def _on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == UPTIME:
            client.unsubscribe(UPTIME)
        if len(message.payload) <= _LONGEST_LINE:
            self.lines.put((message.topic, message.payload.decode("utf-8", "replace"), datetime.now(UTC)))

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        _code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.lines.end()


def watch(connection: MosquittoConnection, stop: Event) -> Iterator[FeedItem]:
    """Events until `stop` is set or the connection is lost. Raises BrokerUnreachable if there never was one.

    Of what happened before it listened it says one thing: when the broker started. Its own connections, and those of
    the control account, are left out. It hints at drift when somebody else changes accounts or roles.
    """
    listener, ours = _Listener(connection), _Ours(connection.username)
    reader = LogReader()
    try:
        listener.open()
        for line in listener.lines.taken(stop):
            if isinstance(line, EventsLost):
                yield line
            elif line is not None and line[0] == INFORMATION:
                if ours.let_others_change(line[1]):
                    yield DriftHint()
            elif line is not None:
                event = _event(reader, line)
                if event is not None and event not in ours:
                    yield event
    finally:
        listener.close()


class _Ours:
    """Which events are about our own connections. A client id alone proves nothing: a device may choose it."""

    def __init__(self, username: str) -> None:
        self._username = username
        self._control = re.compile(rf"gatehouse-control-[0-9a-f]+/{re.escape(username)}")
        self._others: set[str] = set()

    def __contains__(self, event: BrokerEvent) -> bool:
        if not event.client_id.startswith(_OWN):
            return False
        if event.kind is AccessKind.CONNECTED and event.auth_id != self._username:
            self._others.add(event.client_id)
        return event.client_id not in self._others

    def let_others_change(self, line: str) -> bool:
        """Whether the line tells of a change of accounts or roles that is not ours."""
        who = changed_by(line)
        return who is not None and not self._control.fullmatch(who)


def _event(reader: LogReader, line: Line) -> BrokerEvent | None:
    topic, text, at = line
    if topic == NOTICES:
        return reader.read(text, at=at)
    if topic == ERRORS:
        return reader.read_error(text, at=at)
    if topic == SUBSCRIPTIONS:
        return reader.read_subscribe(text, at=at)
    seconds = uptime_seconds(text)
    if seconds is None:
        return None
    # what is retained may be one interval (10 s) old, so the broker may have started that much earlier
    return BrokerEvent(at=at - timedelta(seconds=seconds + 15), kind=AccessKind.STARTED)
