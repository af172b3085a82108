"""Writing down what brokers tell a web process by webhook, while it answers them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from threading import Lock

from brokers.core.values import BrokerEvent, BrokerId
from brokers.listen.writing import EventWriter

log = logging.getLogger(__name__)

SAID_EACH_SECONDS = 60.0


class Intake:
    """A writer for each broker that told something. What is more than a writer can hold is lost: the log says so."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = Lock()
        self._writers: dict[BrokerId, EventWriter] = {}
        self._clock = clock
        self._said_at = float("-inf")

    def take(self, broker: BrokerId, events: Sequence[BrokerEvent]) -> None:
        """Returns at once."""
        writer = self._writer(broker)
        lost = sum(not writer.offer(event) for event in events)
        if lost and self._clock() >= self._said_at + SAID_EACH_SECONDS:
            self._said_at = self._clock()
            log.warning("%s events of broker %s are lost: more come than can be written", lost, broker)

    def close(self) -> None:
        """Returns when all that was taken is written."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, broker: BrokerId) -> EventWriter:
        with self._lock:
            if broker not in self._writers:
                self._writers[broker] = EventWriter(broker, by_time=True)
            return self._writers[broker]
