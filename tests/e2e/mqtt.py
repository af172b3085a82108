"""A device as it is in the field: paho-mqtt over mutual TLS."""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions


@dataclass(frozen=True)
class Identity:
    """The files that a device keeps."""

    name: str
    certificate: Path
    key: Path
    trust: Path


class MqttDevice:
    """One connection and what came over it."""

    def __init__(
        self,
        identity: Identity,
        *,
        port: int,
        client_id: str | None = None,
        clean: bool = True,
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    ) -> None:
        self.name = identity.name
        self.messages: list[tuple[str, bytes]] = []
        self.answers: dict[int, list[int]] = {}
        self.connack: int | None = None
        self.session_present = False
        self.closed_at: float | None = None
        self._changed = threading.Condition()
        five = version == MQTTProtocolVersion.MQTTv5
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or identity.name,
            protocol=version,
            reconnect_on_failure=False,
            clean_session=None if five else clean,
        )
        context = ssl.create_default_context(cafile=str(identity.trust))
        context.load_cert_chain(identity.certificate, identity.key)
        self.client.tls_set_context(context)
        self.client.connect_timeout = 60
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self._port = port

    def connect(self, *, seconds: float = 60) -> bool:
        """Whether the broker let us in."""
        try:
            self.client.connect("127.0.0.1", self._port, keepalive=30)
        except (OSError, ssl.SSLError):
            return False
        self.client.loop_start()
        self.wait_for(lambda: self.connack is not None or self.closed_at is not None, seconds)
        return self.connack == 0 and self.closed_at is None

    def subscribe(self, topic: str, *, qos: int = 1) -> int:
        """The reason code of the SUBACK: 0 to 2 granted, 128 and above refused; -1 if the connection was closed."""
        options: Any = SubscribeOptions(qos=qos) if self.client.protocol == MQTTProtocolVersion.MQTTv5 else qos
        _, number = self.client.subscribe(topic, options)
        if number is None:
            return -1
        self.wait_for(lambda: number in self.answers or self.closed_at is not None, 60)
        return self.answers.get(number, [-1])[0]

    def publish(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        """Sends, and waits for the acknowledgement if there is to be one."""
        sent = self.client.publish(topic, payload, qos)
        if qos:
            self.wait_for(lambda: sent.is_published() or self.closed_at is not None, 60)

    def received(self, payload: bytes, *, seconds: float = 90) -> bool:
        """Whether a message with that payload has come, or comes in time."""
        return self.wait_for(lambda: any(body == payload for _, body in self.messages), seconds)

    def wait_closed(self, *, seconds: float = 90) -> bool:
        """Whether the broker ended the connection in time."""
        return self.wait_for(lambda: self.closed_at is not None, seconds)

    def wait_for(self, condition: Any, seconds: float) -> bool:
        """Whether `condition` comes true in time."""
        end = time.monotonic() + seconds
        with self._changed:
            while not condition():
                rest = end - time.monotonic()
                if rest <= 0:
                    return False
                self._changed.wait(min(rest, 0.05))
        return True

    def close(self) -> None:
        """Leaves cleanly."""
        self.client.disconnect()
        self.client.loop_stop()

    def _note(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _on_connect(self, _client: Any, _userdata: Any, flags: Any, code: Any, _properties: Any) -> None:
        self.connack, self.session_present = code.value, flags.session_present
        self._note()

    def _on_disconnect(self, *_: Any) -> None:
        self.closed_at = time.monotonic()
        self._note()

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        self.messages.append((message.topic, message.payload))
        self._note()

    def _on_subscribe(self, _client: Any, _userdata: Any, number: int, codes: Any, _properties: Any) -> None:
        self.answers[number] = [code.value for code in codes]
        self._note()
