"""What is heard of a broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brokers.core.values import BrokerEvent, FeedItem


def events_in(feed: Iterable[FeedItem]) -> Iterator[BrokerEvent]:
    """What happened, without what else is told."""
    return (item for item in feed if isinstance(item, BrokerEvent))
