"""What Mosquitto tells on `$SYS/broker/log/N`, as events.

Client ids stand raw in the lines and may be chosen so that they look like the end of another line: so every line is
taken apart from its right end, where the broker wrote last, and from its fixed beginning. What lies between is the
name as it was given, and is believed by nobody.
"""

from __future__ import annotations

import re
from datetime import datetime

from brokers.core.values import AccessKind, BrokerEvent

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: ")
_CONNECTED = re.compile(r"New client connected from (?P<address>\S+) as (?P<rest>.*)", re.DOTALL)
# Where client ids are the names of certificates both are the same, whatever stands in them. Elsewhere the last
# parenthesis counts, and a name with a quotation mark is not believed.
_SAME = re.compile(r"(?P<client>.*) \(p\d+, c\d+, k\d+, u'(?P<user>(?P=client))'\)\.", re.DOTALL)
_OTHER = re.compile(r"(?P<client>.*) \(p\d+, c\d+, k\d+(?:, u'(?P<user>[^']*)')?\)\.", re.DOTALL)
# Those with a fixed end come first: an id that ends like one of the others then only spoils its own line.
_ENDINGS = (
    (re.compile(r"Client (?P<client>.*) disconnected\.", re.DOTALL), "It disconnected."),
    (re.compile(r"Client (?P<client>.*) closed its connection\.", re.DOTALL), "The connection was closed."),
    (re.compile(r"Client (?P<client>.*) has exceeded timeout, disconnecting\.", re.DOTALL), "It was silent too long."),
    (
        re.compile(r"Client (?P<client>.*) been disconnected by administrative action\.", re.DOTALL),
        "It was disconnected by an administrator.",
    ),
    (
        re.compile(r"Client (?P<client>.*) disconnected(?: due to|:) [A-Za-z ]+\.", re.DOTALL),
        "It was disconnected for an error.",
    ),
)
_NEW_CONNECTION = re.compile(r"New connection from (?P<address>\S+) on port (?P<port>\d{1,5})\.")
_NOT_AUTHORISED = re.compile(r"Client (?P<client>.*) disconnected, not authorised\.", re.DOTALL)
_UPTIME = re.compile(r"(?P<seconds>\d{1,12}) seconds?")
_UNKNOWN = "<unknown>"


class LogReader:
    """Turns lines into events. It remembers the last address, since a refusal does not say who knocked."""

    def __init__(self) -> None:
        self._address = ""

    def read(self, line: str, *, at: datetime) -> BrokerEvent | None:
        """The event that the line tells of, or None."""
        text = _TIME.sub("", line.rstrip("\n"), count=1)
        if text.startswith("New connection from "):
            found = _NEW_CONNECTION.fullmatch(text)
            self._address = _host(found["address"]) if found else ""
            return None
        if text.startswith("New client connected from "):
            return _connected(text, at=at)
        if text.startswith("Client "):
            return self._ended(text, at=at)
        return None

    def _ended(self, text: str, *, at: datetime) -> BrokerEvent | None:
        refused = _NOT_AUTHORISED.fullmatch(text)
        if refused or text.startswith(f"Client {_UNKNOWN} disconnected"):
            name = refused["client"] if refused else _UNKNOWN
            return BrokerEvent(
                at=at,
                kind=AccessKind.REFUSED,
                client_id="" if name == _UNKNOWN else name,
                address=self._address,
                detail="The broker refused the login." if refused else "The broker refused the connection.",
            )
        for pattern, detail in _ENDINGS:
            found = pattern.fullmatch(text)
            if found and found["client"] != _UNKNOWN:
                return BrokerEvent(at=at, kind=AccessKind.DISCONNECTED, client_id=found["client"], detail=detail)
        return None


def _connected(text: str, *, at: datetime) -> BrokerEvent | None:
    found = _CONNECTED.fullmatch(text)
    names = found and (_SAME.fullmatch(found["rest"]) or _OTHER.fullmatch(found["rest"]))
    if not found or not names:
        return None
    return BrokerEvent(
        at=at,
        kind=AccessKind.CONNECTED,
        auth_id=names["user"] or "",
        client_id=names["client"],
        address=_host(found["address"]),
    )


def _host(address: str) -> str:
    """Without the port."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() else address


def uptime_seconds(text: str) -> int | None:
    """What `$SYS/broker/uptime` says, such as `1234 seconds`."""
    found = _UPTIME.fullmatch(text)
    return int(found["seconds"]) if found else None
