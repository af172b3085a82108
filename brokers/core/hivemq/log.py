"""Lines of the access log of HiveMQ's Enterprise Security Extension, as events.

One form of line is proven, from HiveMQ's own knowledge base:

    2025-04-17 08:15:23,456 UTC - access.authorization-succeeded - Client succeeded authorization: ID <client id>, …

Names of events are taken for what they say, and those that say nothing known are kept as they are. Client ids stand
raw in the lines and may look like what comes behind them: where that leaves two readings, nobody is named, and the
line stands in the detail. No line tells that somebody connected or left, and none opens a session.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_address

from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, BrokerEvent

_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) UTC - access\.(?P<name>[a-z0-9][a-z0-9.-]{0,99}) - (?P<text>.*)",
    re.DOTALL,
)
_CLIENT = re.compile(r"Client [^:]{1,100}: ID (?P<rest>.*)", re.DOTALL)  # up to here the broker alone wrote
_ADDRESS = ", IP "
_KINDS = {
    "authentication-succeeded": AccessKind.ALLOWED,
    "authorization-succeeded": AccessKind.ALLOWED,
    "authentication-failed": AccessKind.REFUSED,
    "authorization-failed": AccessKind.REFUSED,
}


def read_line(line: str, *, not_before: datetime, now: datetime, is_cut: bool = False) -> BrokerEvent | None:
    """The event that a line, without its end, tells of; None if it is none of the access log.

    `not_before` is when the line before it was, `now` when it is read: a time outside is not believed. A line that
    `is_cut` names nobody.
    """
    found = _LINE.fullmatch(line)
    at = _moment(found["at"]) if found else None
    if found is None or at is None:
        return None
    name, text = found["name"], found["text"]
    client = _CLIENT.fullmatch(text)
    kind = _KINDS.get(name, AccessKind.OTHER) if client else AccessKind.OTHER
    client_id, address = _who(client["rest"]) if client and not is_cut else ("", "")
    refused = kind is AccessKind.REFUSED
    return BrokerEvent(
        at=min(max(at, not_before), now),
        kind=kind,
        action=None if kind is AccessKind.OTHER else AccessAction.CONNECT,
        reason=AccessReason.NOT_AUTHORISED if refused else None,
        client_id=client_id,
        address=address,
        detail=name if client_id and kind is not AccessKind.OTHER else f"{name}: {text}",
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def _who(rest: str) -> tuple[str, str]:
    """Client id and address, if there is one way to read them; the address is empty where none is told.

    A client id with a comma is told from what follows it by the address alone.
    """
    if ", " not in rest:
        return rest, ""
    if rest.count(_ADDRESS) != 1:
        return "", ""
    client_id, _, behind = rest.partition(_ADDRESS)
    return client_id, _address(behind.partition(",")[0])


def _address(text: str) -> str:
    """The address; empty if it is none."""
    try:
        return str(ip_address(text.removeprefix("/")))
    except ValueError:
        return ""
