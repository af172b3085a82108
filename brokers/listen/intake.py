"""Having written down what comes of many brokers, without a wait for whoever brings it."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from brokers.core.values import BrokerEvent, BrokerId
from brokers.listen.writing import EventWriter


class Intake:
    """A writer for each broker that told something."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._writers: dict[BrokerId, EventWriter] = {}

    def take(self, broker: BrokerId, events: Sequence[BrokerEvent]) -> None:
        """Returns at once. What is more than can wait is lost."""
        writer = self._writer(broker)
        for event in events:
            writer.offer(event)

    def close(self) -> None:
        """Returns when all that was taken is written, or at once if the database is away."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, broker: BrokerId) -> EventWriter:
        with self._lock:
            if broker not in self._writers:
                self._writers[broker] = EventWriter(broker, by_time=True)
            return self._writers[broker]
