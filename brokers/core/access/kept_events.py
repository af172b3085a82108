"""Events as they are kept: cut to size, and so many at a time.

Names come from the broker and may be chosen by whoever knocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from brokers.core.kept_text import kept_name, spelled
from brokers.core.values import AccessKind, BrokerEvent

AT_ONCE = 500
_MOST_OFF = timedelta(days=1)
LONGEST_TOPIC = 500
"""What is as long was cut."""


def batches(events: Iterable[BrokerEvent]) -> Iterator[list[BrokerEvent]]:
    """Some at a time, cut to size; the start of a broker by itself."""
    batch: list[BrokerEvent] = []
    for event in events:
        if event.kind is AccessKind.STARTED or len(batch) >= AT_ONCE:
            if batch:
                yield batch
            batch = []
        if event.kind is AccessKind.STARTED:
            yield [event]
        else:
            batch.append(fitting(event))
    if batch:
        yield batch


def kept_at(event: BrokerEvent, *, now: datetime | None) -> datetime:
    """When it was, for the log; `now`, when it was heard, if the broker's clock says otherwise by more than a day.

    Else its line would be forgotten at once, or never. Whoever reads a file bounds what it says, which may be older.
    """
    if now is None or event.place is not None or abs(event.at - now) <= _MOST_OFF:
        return event.at
    return now


def fitting(event: BrokerEvent) -> BrokerEvent:
    """The event cut to the size in which it is kept; at most some 2,000 characters."""
    return replace(
        event,
        auth_id=kept_name(event.auth_id),
        client_id=kept_name(event.client_id),
        address=spelled(event.address, most=64),
        detail=spelled(event.detail, most=500),
        topic=spelled(event.topic, most=LONGEST_TOPIC),
        connection_id=spelled(event.connection_id, most=64),
        grant_digest=event.grant_digest[:64],
    )
