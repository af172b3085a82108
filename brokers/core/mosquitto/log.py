"""What Mosquitto tells on `$SYS/broker/log/…`, as events.

Client ids stand raw in the lines and may be chosen so that they look like the end of another line: so every line is
taken apart from its right end, where the broker wrote last, and from its fixed beginning. What lies between is the
name as it was given, and is believed by nobody.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, BrokerEvent

_TIME = re.compile(r"\A(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d|\d{9,11}): ")  # ours, or seconds by default
_CONNECTED = re.compile(r"New client connected from (?P<address>\S+) as (?P<rest>.*)", re.DOTALL)
# Where client ids are the names of certificates both are the same, whatever stands in them. Elsewhere the last
# parenthesis counts, and a name with a quotation mark is not believed; where another such stands before it, the
# username may as well begin there, and who it is nobody can say.
_SAME = re.compile(r"(?P<client>.*) \(p\d+, c\d+, k\d+, u'(?P<user>(?P=client))'\)\.", re.DOTALL)
_OTHER = re.compile(r"(?P<client>.*) \(p\d+, c\d+, k\d+(?:, u'(?P<user>[^']*)')?\)\.", re.DOTALL)
_ANOTHER = re.compile(r" \(p\d+, c\d+, k\d+, u'")
# Those with a fixed end come first: an id that ends like one of the others then only spoils its own line.
_ENDINGS = (
    (re.compile(r"Client (?P<client>.*) disconnected\.", re.DOTALL), AccessReason.DISCONNECTED),
    (re.compile(r"Client (?P<client>.*) closed its connection\.", re.DOTALL), AccessReason.CONNECTION_LOST),
    (
        re.compile(r"Client (?P<client>.*) has exceeded timeout, disconnecting\.", re.DOTALL),
        AccessReason.KEEPALIVE_EXCEEDED,
    ),
    (
        re.compile(r"Client (?P<client>.*) been disconnected by administrative action\.", re.DOTALL),
        AccessReason.BY_ADMINISTRATOR,
    ),
    (
        re.compile(r"Client (?P<client>.*) disconnected(?: due to [A-Za-z (),]+|: Protocol error)\.", re.DOTALL),
        AccessReason.PROTOCOL_ERROR,
    ),
    # any other error of a socket, in the words of the C library, or of Mosquitto's own
    (re.compile(r"Client (?P<client>.*) disconnected: [A-Za-z /-]+\.", re.DOTALL), AccessReason.CONNECTION_LOST),
    (
        re.compile(r"Bad socket read/write on client (?P<client>.*): [A-Za-z ,/()-]+\.?", re.DOTALL),
        AccessReason.CONNECTION_LOST,
    ),
)
_TAKEN_OVER = re.compile(r"Client (?P<client>.*) already connected, closing old connection\.", re.DOTALL)
_TLS_FAULT = re.compile(r"OpenSSL Error\[\d+\]: .*certificate", re.DOTALL)
_QOS = re.compile(r"(?= (?P<qos>[012]) )")  # looks ahead, so that those that overlap are found as well
_NEW_CONNECTION = re.compile(r"New connection from (?P<address>\S+) on port (?P<port>\d{1,5})\.")
_NOT_AUTHORISED = re.compile(r"Client (?P<client>.*) disconnected, not authorised\.", re.DOTALL)
_PLUGIN = "dynsec: "  # followed by `<client id>/<username> | <command>`; only who may control it comes to stand there
_LOOKED = re.compile(rf"{_PLUGIN}[^|]* \| (?:get|list)[A-Za-z]+(?: \||\Z)")
_UPTIME = re.compile(r"(?P<seconds>\d{1,12}) seconds?")
_UNKNOWN = "<unknown>"
_MOST_KNOCKING = 1_000
_WAITS = timedelta(seconds=60)


class LogReader:
    """Turns lines into events. A refusal does not say who knocked, nor why: the lines before it are remembered.

    An address is told only if no other connection was waiting to be let in.
    """

    def __init__(self) -> None:
        self._knocking: dict[str, datetime] = {}
        self._bad_certificate = False
        self._timed: bool | None = None

    def read(self, line: str, *, at: datetime) -> BrokerEvent | None:
        """The event that a line of `log/N` tells of, or None."""
        text = _without_time(line)
        bad_certificate, self._bad_certificate = self._bad_certificate, False
        if text.startswith("New connection from "):
            self._timed = text != line
            self._knocks(text, at)
            return None
        if text.startswith("New client connected from "):
            return self._connected(text, at=at)
        if text.startswith(("Client ", "Bad socket ")):
            return self._refused(text, at=at, bad_certificate=bad_certificate) or _ended(text, at=at)
        return None

    def read_error(self, line: str, *, at: datetime) -> BrokerEvent | None:
        """The event that a line of `log/E` tells of, or None."""
        text = _without_time(line)
        self._bad_certificate = bool(_TLS_FAULT.match(text))
        found = _TAKEN_OVER.fullmatch(text)
        return _end(found["client"], AccessReason.TAKEN_OVER, at=at) if found else None

    def read_subscribe(self, line: str, *, at: datetime) -> BrokerEvent | None:
        """The subscription that a line of `log/M/subscribe` tells of: `<client id> <qos> <filter>`.

        None where client id or filter have something like ` 0 ` in them: then nobody can tell where the one ends. None
        also until another line has told whether the time stands before: a client id may begin like one.
        """
        if self._timed is None:
            return None
        text = _without_time(line) if self._timed else line
        places = list(_QOS.finditer(text))
        if len(places) != 1:
            return None
        [place] = places
        return BrokerEvent(
            at=at,
            kind=AccessKind.ALLOWED,
            action=AccessAction.SUBSCRIBE,
            client_id=text[: place.start()],
            qos=int(place["qos"]),
            topic=text[place.start() + 3 :],
        )

    def _knocks(self, text: str, at: datetime) -> None:
        found = _NEW_CONNECTION.fullmatch(text)
        if len(self._knocking) >= _MOST_KNOCKING:
            self._knocking.clear()
        if found:
            self._knocking[found["address"]] = at

    def _who_knocked(self, at: datetime) -> str:
        """The address of the one that was waiting; empty if there were several, any of which it may have been."""
        waiting = [address for address, since in self._knocking.items() if at - since <= _WAITS]
        self._knocking = {address: self._knocking[address] for address in waiting if len(waiting) > 1}
        return _host(waiting[0]) if len(waiting) == 1 else ""

    def _connected(self, text: str, *, at: datetime) -> BrokerEvent | None:
        found = _CONNECTED.fullmatch(text)
        if found:
            self._knocking.pop(found["address"], None)
        return _connected(text, at=at)

    def _refused(self, text: str, *, at: datetime, bad_certificate: bool) -> BrokerEvent | None:
        login = _NOT_AUTHORISED.fullmatch(text)
        if not login and not text.startswith((f"Client {_UNKNOWN} disconnected", f"Client {_UNKNOWN} closed")):
            return None
        address = self._who_knocked(at)
        name = login["client"] if login else _UNKNOWN
        if text.startswith(f"Client {_UNKNOWN} closed"):
            return None  # it wanted nothing
        reason = AccessReason.BAD_CERTIFICATE if bad_certificate else AccessReason.PROTOCOL_ERROR
        return BrokerEvent(
            at=at,
            kind=AccessKind.REFUSED,
            action=AccessAction.CONNECT,
            reason=AccessReason.NOT_AUTHORISED if login else reason,
            client_id="" if name == _UNKNOWN else name,
            address=address,
        )


def _without_time(line: str) -> str:
    return _TIME.sub("", line, count=1)


def _ended(text: str, *, at: datetime) -> BrokerEvent | None:
    for pattern, reason in _ENDINGS:
        found = pattern.fullmatch(text)
        if found and found["client"] != _UNKNOWN:
            return _end(found["client"], reason, at=at)
    return None


def _end(client_id: str, reason: AccessReason, *, at: datetime) -> BrokerEvent:
    return BrokerEvent(
        at=at, kind=AccessKind.DISCONNECTED, action=AccessAction.CONNECT, reason=reason, client_id=client_id
    )


def _connected(text: str, *, at: datetime) -> BrokerEvent | None:
    found = _CONNECTED.fullmatch(text)
    same = found and _SAME.fullmatch(found["rest"])
    names = same or (found and _OTHER.fullmatch(found["rest"]))
    if not found or not names:
        return None
    is_told = same or not _ANOTHER.search(names["client"])
    return BrokerEvent(
        at=at,
        kind=AccessKind.CONNECTED,
        action=AccessAction.CONNECT,
        auth_id=(names["user"] or "") if is_told else "",
        client_id=names["client"],
        address=_host(found["address"]),
    )


def _host(address: str) -> str:
    """Without the port."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() else address


def changed_by(line: str) -> str | None:
    """Who changed something by the dynamic security plugin, by a line of `log/I`: `<client id>/<username>`, or None."""
    text = _without_time(line)
    if not text.startswith(_PLUGIN) or _LOOKED.match(text):
        return None
    return text.removeprefix(_PLUGIN).partition(" | ")[0]


def uptime_seconds(text: str) -> int | None:
    """What `$SYS/broker/uptime` says, such as `1234 seconds`."""
    found = _UPTIME.fullmatch(text)
    return int(found["seconds"]) if found else None
