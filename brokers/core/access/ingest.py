"""What brokers tell by webhook, whichever dialect they speak: reading a body into events of the access log.

A dialect (emqx/events.py and its like) reads one object. Whatever it says is believed of that broker alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from brokers.core.decide.decisions import Asked, Unreadable
from brokers.core.decide.reading import read_objects, text_or_none
from brokers.core.values import BrokerEvent

Members = Mapping[str, Any]
Reader = Callable[[Members, str, datetime], Iterator[BrokerEvent]]
"""The events that an object is, given VerneMQ's name of the hook and the time. Raises Unreadable."""

MOST_AT_ONCE = 1_000
NOBODY = "undefined"
"""How EMQX and NanoMQ spell a username that is not there. A client id of that name is one."""
_LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a body says: events in its order, and how many objects of it could not be read."""

    events: tuple[BrokerEvent, ...] = ()
    unreadable: int = 0


def read_told(reader: Reader, asked: Asked, *, now: datetime) -> Told:
    """What the body says, an object or an array of at most 1,000. Raises Unreadable if it is neither."""
    objects = read_objects(asked)
    if len(objects) > MOST_AT_ONCE:
        raise Unreadable(f"The body tells more than {MOST_AT_ONCE} events.")
    events: list[BrokerEvent] = []
    unreadable = 0
    for each in objects:
        try:
            events += tuple(reader(each, asked.hook, now))
        except Unreadable:
            unreadable += 1
    return Told(events=tuple(events), unreadable=unreadable)


def name(members: Members, member: str) -> str:
    """The name of somebody; empty if there is none. Raises Unreadable if it is no text."""
    return text_or_none(members, member) or ""


def username(members: Members, member: str = "username") -> str:
    """The username; empty if there is none. Raises Unreadable if it is no text."""
    found = name(members, member)
    return "" if found == NOBODY else found


def moment(members: Members, member: str, *, now: datetime) -> datetime:
    """When it was, from milliseconds since 1970; `now` if that is not told, to come, or more than 10 minutes ago.

    A broker whose clock is wrong would else put sessions where no later event ends them.
    """
    found = members.get(member)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**47:  # the year 6429
        return now
    told = datetime.fromtimestamp(found / 1000, UTC)
    return told if now - _LATE <= told <= now else now
