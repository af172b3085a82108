"""The first words of TLS up to 1.2 (RFC 5246), which are in the clear: what a server takes, shows and asks for.

A library says neither which version a handshake failed in nor whether an OCSP answer was stapled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

MOST_OCTETS = 131_072
"""Of a server's first flight: a chain and an OCSP answer are some thousands."""

_HANDSHAKE, _ALERT = 22, 21
# ECDHE and RSA key exchange, GCM, ChaCha20 and CBC: so wide that a refusal is about the version
_SUITES = (
    0xC02B, 0xC02C, 0xCCA9, 0xC02F, 0xC030, 0xCCA8, 0xC023, 0xC027, 0xC009, 0xC00A, 0xC013, 0xC014,
    0x009C, 0x009D, 0x003C, 0x002F, 0x0035,
)  # fmt: skip
_SIGNATURES = (
    0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
)  # fmt: skip
_GROUPS = (29, 23, 24, 25)


class Message(IntEnum):
    """Handshake messages (RFC 5246 7.4; 22 is of RFC 6066 8)."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    CERTIFICATE = 11
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_STATUS = 22


class BrokenFlight(ValueError):
    """It is no TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFlight:
    """What a server answered. `version` is (3, minor) or None if it refused; certificates are DER, its own first.

    `whole` says that nothing more comes before it is our turn.
    """

    version: tuple[int, int] | None = None
    certificates: tuple[bytes, ...] = ()
    stapled: bool = False
    asks_certificate: bool = False
    whole: bool = False


def client_hello(minor: int, *, host: str, random: bytes) -> bytes:
    """A record that offers TLS 1.0 (minor 1), 1.1 (2) or 1.2 (3) and nothing newer; `host` is empty for an address."""
    extensions = b"".join(
        [
            _extension(0, _sized(2, b"\x00" + _sized(2, host.encode("ascii")))) if host else b"",
            _extension(5, b"\x01\x00\x00\x00\x00"),  # an OCSP answer, of any responder
            _extension(10, _sized(2, _words(_GROUPS))),
            _extension(11, b"\x01\x00"),
            _extension(13, _sized(2, _words(_SIGNATURES))) if minor == 3 else b"",
            _extension(0xFF01, b"\x00"),
        ]
    )
    body = bytes([3, minor]) + random + b"\x00" + _sized(2, _words(_SUITES)) + b"\x01\x00" + _sized(2, extensions)
    message = bytes([Message.CLIENT_HELLO]) + _sized(3, body)
    return bytes([_HANDSHAKE, 3, 1]) + _sized(2, message)


def read_flight(octets: bytes) -> ServerFlight:
    """What these octets of the server say so far. Raises BrokenFlight."""
    handshake, alerted = _handshake_of(octets)
    found = ServerFlight(whole=alerted)
    for kind, body in _messages(handshake):
        if kind == Message.SERVER_HELLO:
            if len(body) < 2:
                raise BrokenFlight
            found = replace(found, version=(body[0], body[1]))
        elif kind == Message.CERTIFICATE:
            found = replace(found, certificates=tuple(_certificates(body)))
        elif kind == Message.CERTIFICATE_STATUS:
            found = replace(found, stapled=len(body) > 4)
        elif kind == Message.CERTIFICATE_REQUEST:
            found = replace(found, asks_certificate=True)
        elif kind == Message.SERVER_HELLO_DONE:
            found = replace(found, whole=True)
    return found


def _handshake_of(octets: bytes) -> tuple[bytes, bool]:
    """The handshake octets of all whole records, and whether an alert ended them."""
    handshake, place = b"", 0
    while len(octets) - place >= 5:
        kind, major = octets[place], octets[place + 1]
        if kind not in {_HANDSHAKE, _ALERT} or major != 3:
            raise BrokenFlight
        if kind == _ALERT:
            return handshake, True
        length = int.from_bytes(octets[place + 3 : place + 5], "big")
        if len(octets) - place - 5 < length:
            break
        handshake += octets[place + 5 : place + 5 + length]
        place += 5 + length
    return handshake, False


def _messages(handshake: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while len(handshake) - place >= 4:
        length = int.from_bytes(handshake[place + 1 : place + 4], "big")
        body = handshake[place + 4 : place + 4 + length]
        if len(body) < length:
            return
        yield handshake[place], body
        place += 4 + length


def _certificates(body: bytes) -> Iterator[bytes]:
    place = 3
    while place + 3 <= len(body):
        length = int.from_bytes(body[place : place + 3], "big")
        if place + 3 + length > len(body):
            raise BrokenFlight
        yield body[place + 3 : place + 3 + length]
        place += 3 + length


def _words(values: tuple[int, ...]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def _sized(width: int, octets: bytes) -> bytes:
    return len(octets).to_bytes(width, "big") + octets


def _extension(number: int, octets: bytes) -> bytes:
    return number.to_bytes(2, "big") + _sized(2, octets)
