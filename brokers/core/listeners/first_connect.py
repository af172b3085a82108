"""The octets of a nameless CONNECT (MQTT 3.1.1 3.1), plain and in a WebSocket frame, and what CONNACK says of it."""

from __future__ import annotations

import base64

ACCEPTED = 0
UNPROVED = frozenset({4, 5, 0x86, 0x87, 0x8C})
"""Return codes by which a broker says that nobody was proved to be there: bad name or password, not authorised."""
_CONNACK = 0x20


def anonymous_connect(client_id: str) -> bytes:
    """A CONNECT with a clean session and neither user name nor password."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x1e" + len(name).to_bytes(2, "big") + name
    return bytes([0x10, len(body)]) + body  # below 128 octets, so that one octet says the length


def connack_code(octets: bytes) -> int | None:
    """The return code (MQTT 3.1.1 3.2.2.3, MQTT 5 3.2.2.2). None if this is no CONNACK, or not all of one."""
    if len(octets) < 4 or octets[0] != _CONNACK or octets[1] < 2 or octets[2] > 1:
        return None
    return octets[3]


def upgrade_request(*, host: str, port: int, path: str, key: bytes) -> bytes:
    """An HTTP request for a WebSocket that speaks MQTT (RFC 6455 4.1, MQTT 3.1.1 6); `key` is 16 random octets."""
    name = f"[{host}]" if ":" in host else host
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {name}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(key).decode()}",
        "Sec-WebSocket-Protocol: mqtt",
        "Sec-WebSocket-Version: 13",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def is_upgraded(answer: bytes) -> bool:
    """Whether the HTTP answer's head is there and says 101."""
    return answer.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in answer


def binary_frame(octets: bytes, *, mask: bytes) -> bytes:
    """One masked binary frame of less than 126 octets (RFC 6455 5.2); `mask` is 4 random octets."""
    masked = bytes(octet ^ mask[place % 4] for place, octet in enumerate(octets))
    return bytes([0x82, 0x80 | len(octets)]) + mask + masked


def frame_body(octets: bytes) -> bytes:
    """The body of an unmasked binary frame of less than 126 octets; empty if this is none."""
    if len(octets) < 2 or octets[0] != 0x82 or octets[1] >= 126:
        return b""
    return octets[2 : 2 + octets[1]]
