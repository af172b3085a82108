"""What RabbitMQ tells of itself that is unsafe whatever the policy says: its ports, its first account, its alarms."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_PLAIN = {
    "mqtt": "MQTT", "http/web-mqtt": "MQTT over WebSocket (rabbitmq_web_mqtt)", "http": "the management API",
    "amqp": "AMQP", "stomp": "STOMP", "http/web-stomp": "STOMP over WebSocket", "stream": "streams",
}  # fmt: skip
_MORE = {"amqp/ssl": "AMQP", "stomp/ssl": "STOMP", "https/web-stomp": "STOMP over WebSocket", "stream/ssl": "streams"}
_HERE = ("127.", "::1")
_FIRST = "guest"  # account and password that a new RabbitMQ has
_HASHES = {f"rabbit_password_hashing_{name}": name for name in ("sha256", "sha512", "md5")}
_ALARMS = {"disk_free_alarm": "has too little room on its disk", "mem_alarm": "needs more memory than it may"}


def exposures(
    listeners: Iterable[Mapping[str, Any]], users: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Sentences with what to do, from what the management API says of these; none if all is well."""
    return (*dict.fromkeys(_open_ports(listeners)), *_default_password(users), *_blocked(nodes))


def _open_ports(listeners: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for listener in listeners:
        protocol, address = str(listener["protocol"]), _address(listener)
        where = f"at {address or 'every address'}, port {listener['port']}"
        if address.startswith(_HERE):
            continue
        if protocol in _PLAIN:
            yield (
                f"RabbitMQ listens for {_PLAIN[protocol]} without TLS {where}: bind it to 127.0.0.1, or disable it "
                "(docs/howto/rabbitmq.md)."
            )
        elif protocol in _MORE:
            yield (
                f"RabbitMQ listens for {_MORE[protocol]} {where}: a device that reaches it may publish anywhere by a "
                "dead-letter key. Bind it to 127.0.0.1, or disable it."
            )


def _address(listener: Mapping[str, Any]) -> str:
    """Where it listens; empty for everywhere. Listeners for HTTP say `::`, and the truth in their options."""
    options = listener.get("socket_opts")
    told = options.get("ip") if isinstance(options, Mapping) else None
    address = ".".join(map(str, told)) if isinstance(told, list) else str(told or listener["ip_address"])
    return "" if address in ("::", "0.0.0.0") else address


def _default_password(users: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    if any(user["name"] == _FIRST and _opens(user, _FIRST) for user in users):
        yield (
            f"RabbitMQ still has the account {_FIRST} with the password that everybody knows: whoever gets a "
            f"connection from its machine is its administrator. Delete it (rabbitmqctl delete_user {_FIRST})."
        )


def _opens(user: Mapping[str, Any], password: str) -> bool:
    """Whether the password is the account's: four octets of salt, and a hash over them and the password."""
    name = _HASHES.get(str(user.get("hashing_algorithm")))
    try:
        kept = base64.b64decode(str(user["password_hash"]), validate=True)
    except ValueError:
        return False
    return bool(name and kept) and kept[4:] == hashlib.new(name or "", kept[:4] + password.encode()).digest()


def _blocked(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for node in nodes:
        for alarm, what in _ALARMS.items():
            if node.get(alarm):
                yield (
                    f"RabbitMQ ({node.get('name')}) {what}, and takes no message from anybody until that is over: "
                    "what devices publish waits or is lost."
                )
