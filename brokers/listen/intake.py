"""Having written down what comes of many brokers, without a wait for whoever brings it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from brokers.core.values import BrokerEvent, BrokerId
from brokers.listen.writing import EventWriter

MOST_OCTETS = 128 * 1_048_576
"""Of all brokers together, while the database is away; of each what its writer keeps."""


class Intake:
    """A writer for each broker that told something."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._writers: dict[BrokerId, EventWriter] = {}

    def take(self, broker: BrokerId, events: Sequence[BrokerEvent]) -> None:
        """Returns at once. What is more than can wait is lost."""
        writer = self._writer(broker)
        if sum(each.octets for each in self._all()) >= MOST_OCTETS:
            writer.lose(len(events))
            return
        for event in events:
            writer.offer(event)

    def close(self) -> None:
        """Returns when all that was taken is written, or at once if the database is away."""
        for writer in self._all():
            writer.close()

    def _all(self) -> list[EventWriter]:
        with self._lock:
            return [*self._writers.values()]

    def _writer(self, broker: BrokerId) -> EventWriter:
        with self._lock:
            if broker not in self._writers:
                self._writers[broker] = EventWriter(broker, by_time=True)
            return self._writers[broker]
