"""Writing down what a broker tells, many events at a time, while it is told more."""

from __future__ import annotations

import logging
import queue
import time
from threading import Thread

from django.db import close_old_connections

from brokers.core.values import BrokerEvent, BrokerId
from brokers.services.policy_use import note_heard
from brokers.services.presence import note_events
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

AT_ONCE = 500
MOST_WAITING = 20_000
HEARD_SECONDS = 60.0
_LOOK_SECONDS = 1.0


class EventWriter:
    """A thread that writes the events of one broker in their order. When 20,000 wait, whoever brings more waits too.

    `by_time`: they may come in another order than that in which they happened, so those that wait are sorted.
    From the first `put` or `settle` on it also notes, once in a minute, that the broker is heard.
    """

    def __init__(self, broker: BrokerId, *, by_time: bool = False) -> None:
        self._broker = broker
        self._by_time = by_time
        self._waiting: queue.Queue[BrokerEvent | None] = queue.Queue(MOST_WAITING)
        self._heard_at: float | None = None
        self._thread = Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def put(self, event: BrokerEvent) -> None:
        """Has the event written soon."""
        self._hear()
        self._waiting.put(event)

    def offer(self, event: BrokerEvent) -> bool:
        """Whether the event will be written: not when 20,000 wait. Never waits, and the broker is not heard by it."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            return False
        return True

    def settle(self) -> None:
        """Returns when all that was put is written."""
        self._hear()
        self._waiting.join()

    def close(self) -> None:
        """Returns when all that was put is written, and ends the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _hear(self) -> None:
        if self._heard_at is None:
            self._heard_at = time.monotonic()

    def _run(self) -> None:
        ended = False
        while not ended:
            events: list[BrokerEvent | None] = []
            try:
                events.append(self._waiting.get(timeout=_LOOK_SECONDS))
                while len(events) < AT_ONCE:
                    events.append(self._waiting.get_nowait())
            except queue.Empty:
                pass
            ended = None in events
            self._write([event for event in events if event is not None])
            for _ in events:
                self._waiting.task_done()
            self._note_heard()
        close_old_connections()

    def _write(self, events: list[BrokerEvent]) -> None:
        if not events:
            return
        if self._by_time:
            events = sorted(events, key=lambda event: event.at)
        close_old_connections()
        try:
            note_events(broker=self._broker, events=events)
        except Exception:  # a writer that dies would leave the access log blind
            log.exception("%s events were not written down", len(events))

    def _note_heard(self) -> None:
        if self._heard_at is not None and time.monotonic() >= self._heard_at:
            self._heard_at += HEARD_SECONDS
            note_heard(broker=self._broker, now=utc_now())
