"""A device: paho-mqtt over mutual TLS, MQTT 5 unless said otherwise."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


def wait_until(condition: Callable[[], bool], *, seconds: float = 90) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Device:
    """One connection; it does not come back by itself."""

    def __init__(self, *, port: int, ca: str, certificate: Path, key: Path, client_id: str = "") -> None:
        context = ssl.create_default_context(cadata=ca)
        context.load_cert_chain(certificate, key)
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.tls_set_context(context)
        self._client.connect_timeout = 60
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = lambda _c, _d, message: self.received.append((message.topic, bytes(message.payload)))
        self._port = port
        self._answered = threading.Event()
        self._codes: list[Any] = []
        self.connected = False
        self.ended = False
        self.received: list[tuple[str, bytes]] = []

    def leave_behind(self, topic: str) -> None:
        """Has a last will from its next connection on."""
        self._client.will_set(topic, b"will", qos=1)

    def vanish(self) -> None:
        """Goes without a word."""
        socket: Any = self._client.socket()
        socket.shutdown(SHUT_RDWR)

    def connect(self) -> bool:
        """Whether the broker let it in."""
        try:
            self._client.connect("127.0.0.1", self._port, keepalive=30)
        except OSError:
            return False
        self._client.loop_start()
        wait_until(lambda: self.connected or self.ended)
        return self.connected

    def close(self) -> None:
        """Ends the connection."""
        self._client.disconnect()
        self._client.loop_stop()
        for callback in ("on_connect", "on_disconnect", "on_subscribe", "on_publish", "on_message"):
            setattr(self._client, callback, None)  # else both wait for the collector, which may warn of open sockets

    def subscribe(self, topic: str, qos: int = 1) -> bool:
        """Whether SUBACK grants it."""
        self._answered.clear()
        self._client.subscribe(topic, qos)
        assert self._answered.wait(90)
        return not self._codes[0].is_failure

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> bool:
        """Whether PUBACK accepts it."""
        self._answered.clear()
        self._client.publish(topic, payload, qos=1, retain=retain)
        assert self._answered.wait(90)
        return not self._codes[0].is_failure

    def hears(self, topic: str, *, seconds: float = 90) -> bool:
        """Whether a message on the topic has come or comes in time."""
        return wait_until(lambda: any(found == topic for found, _ in self.received), seconds=seconds)

    def _on_connect(self, _c: Any, _d: Any, _f: Any, code: Any, _p: Any) -> None:
        self.connected, self.ended = not code.is_failure, code.is_failure

    def _on_disconnect(self, _c: Any, _d: Any, _f: Any, _code: Any, _p: Any) -> None:
        self.connected, self.ended = False, True

    def _on_subscribe(self, _c: Any, _d: Any, _mid: int, codes: Any, _p: Any) -> None:
        self._codes = list(codes)
        self._answered.set()

    def _on_publish(self, _c: Any, _d: Any, _mid: int, code: Any, _p: Any) -> None:
        self._codes = [code]
        self._answered.set()
