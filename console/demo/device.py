"""One simulated device: its key, its request, and its connection over mutual TLS."""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion

from console.demo.api import Enrolled


def make_request(name: str) -> tuple[bytes, str]:
    """A fresh P-256 key (PKCS#8 PEM) and its PKCS#10 request (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return plain, csr.public_bytes(serialization.Encoding.PEM).decode()


class Device:
    """A connection that counts what came over it."""

    def __init__(self, enrolled: Enrolled, *, host: str, port: int) -> None:
        self.name, self.id = enrolled.name, enrolled.id
        self.connected = threading.Event()
        self.closed = threading.Event()
        self.closed_at = 0.0
        self.received = 0
        self.refused: list[str] = []
        self._asked: dict[int, str] = {}
        self._host, self._port = host, port
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=enrolled.name, protocol=paho.MQTTv311, reconnect_on_failure=False
        )
        self._client.tls_set_context(_context(enrolled))
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe

    def connect(self, *, seconds: float = 10) -> bool:
        """Whether the broker let the device in."""
        self.closed.clear()
        try:
            self._client.connect(self._host, self._port, keepalive=60)
        except (OSError, ssl.SSLError):
            return False
        self._client.loop_start()
        return self.connected.wait(seconds)

    def publish(self, topic: str, payload: str) -> None:
        """Sends with QoS 0."""
        self._client.publish(topic, payload)

    def subscribe(self, topic: str) -> None:
        """Asks; a refusal shows up in `refused`."""
        _, number = self._client.subscribe(topic)
        if number is not None:
            self._asked[number] = topic

    def leave(self) -> None:
        """Disconnects cleanly."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.value == 0:
            self.connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self.closed_at = time.monotonic()
        self.connected.clear()
        self.closed.set()

    def _on_message(self, *_: Any) -> None:
        self.received += 1

    def _on_subscribe(self, _client: Any, _userdata: Any, number: int, codes: Any, _properties: Any) -> None:
        if codes[0].value >= 128:
            self.refused.append(self._asked.get(number, "?"))


def _context(enrolled: Enrolled) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=enrolled.trust)
    with tempfile.TemporaryDirectory() as folder:  # mode 0700; ssl reads certificate and key from files alone
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_text(enrolled.chain)
        key.write_bytes(enrolled.key)
        context.load_cert_chain(chain, key)
    return context
