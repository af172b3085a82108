"""Writing down what a broker tells, many events at a time, while it is told more.

While the database is away events wait in memory, within bounds. What is lost beyond them is counted, and said.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from threading import Condition, Event, Thread

from django.db import InterfaceError, OperationalError, close_old_connections, connections

from brokers.core.access.kept_events import AT_ONCE, batches, fitting
from brokers.core.values import BrokerEvent, BrokerId
from brokers.services.policy_use import note_heard, note_lost
from brokers.services.presence import note_events
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

MOST_WAITING = 20_000
MOST_OCTETS = 32 * 1_048_576
LONGEST_SECONDS = 3_600.0
"""What waited for so long is lost: who was connected then is no news."""
HEARD_SECONDS = 60.0
SAID_EACH_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_CLOSING_SECONDS = 0.1
_GATHERING_SECONDS = 0.2  # a few at a time cost as many statements as 500, and 0.96 of a core at 2,000 a second
_EMPTY_OCTETS = 600  # what an event weighs in memory besides its texts

_Waiting = tuple[float, int, BrokerEvent]
"""Since when, how heavy, and what."""


class EventWriter:
    """A thread that writes the events of one broker in their order, each once; when the database is away, later.

    20,000 may wait, or 32 MiB. `by_time`: they may come in another order than that in which they happened, so those
    that wait are gathered for 0.2 s, and sorted. From the first `put`, `settle` or `offer` that is `heard` on it also
    notes, once in a minute, that the broker is heard.
    """

    def __init__(self, broker: BrokerId, *, by_time: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker, self._by_time, self._clock = broker, by_time, clock
        self._waiting: deque[_Waiting] = deque()
        self._octets = 0
        self._changed = Condition()
        self._heard_at: float | None = None
        self._closed = Event()
        self._lost, self._said_at = 0, float("-inf")
        self._is_away = False
        self._thread = Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def put(self, event: BrokerEvent) -> None:
        """Has the event written soon; waits while there is no room."""
        self._hear()
        self._add(event, patient=True)

    def offer(self, event: BrokerEvent, *, heard: bool = False) -> None:
        """The same, and never waits: where there is no room the event is lost. `heard`: that the broker is heard."""
        if heard:
            self._hear()
        self._add(event, patient=False)

    @property
    def octets(self) -> int:
        """What waits weighs so much in memory, about."""
        return self._octets

    def settle(self, *, seconds: float | None = None) -> bool:
        """Whether all that was put is written; waits for it, for so long at most."""
        self._hear()
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self) -> None:
        """Ends the thread when all that was put is written; returns then, or at once if the database is away."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        while self._thread.is_alive() and not self._is_away:
            self._thread.join(_CLOSING_SECONDS)

    def _hear(self) -> None:
        if self._heard_at is None:
            self._heard_at = self._clock()

    def _add(self, event: BrokerEvent, *, patient: bool) -> None:
        event = fitting(event)
        weight = _EMPTY_OCTETS + 2 * (len(event.topic) + len(event.detail) + len(event.client_id) + len(event.auth_id))
        with self._changed:
            if patient:
                self._changed.wait_for(self._has_room)
            if self._has_room():
                self._waiting.append((self._clock(), weight, event))
                self._octets += weight
                self._changed.notify_all()
                return
        self.lose(1)

    def _has_room(self) -> bool:
        return len(self._waiting) < MOST_WAITING and self._octets < MOST_OCTETS

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed.is_set(), _LOOK_SECONDS)
            if self._by_time and len(self._waiting) < AT_ONCE:
                self._closed.wait(_GATHERING_SECONDS)
            with self._changed:
                some = list(islice(self._waiting, AT_ONCE))
            if not some and self._closed.is_set():
                break
            self._write(some)
            with self._changed:
                for _, weight, _ in some:
                    self._waiting.popleft()
                    self._octets -= weight
                self._changed.notify_all()
            self._note_heard()
        connections.close_all()

    def _write(self, some: Sequence[_Waiting]) -> None:
        events = [event for _, _, event in some]
        if self._by_time:
            events.sort(key=lambda event: event.at)
        for batch in batches(events):
            self._write_batch(batch, until=some[-1][0] + LONGEST_SECONDS)

    def _write_batch(self, batch: Sequence[BrokerEvent], *, until: float) -> None:
        """Again and again while the database is away; for ever what was read from a file, which would be passed by."""
        while self._clock() < until or batch[-1].place:
            close_old_connections()
            try:
                note_events(broker=self._broker, events=batch, now=utc_now())
            except (OperationalError, InterfaceError) as error:
                self._note_away(type(error).__name__)
                time.sleep(_PAUSE_SECONDS)
            except Exception:  # a writer that dies would leave the access log blind
                log.exception("events of broker %s can not be written down", self._broker)
                break
            else:
                self._note_back()
                return
        self.lose(len(batch))

    def _note_away(self, error: str) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("what broker %s tells waits for the database: %s", self._broker, error)

    def _note_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("what broker %s told is written down again", self._broker)

    def lose(self, count: int) -> None:
        """So many events are not written; they are counted, and said."""
        note_lost(broker=self._broker, count=count, now=utc_now())
        with self._changed:
            self._lost += count
            due = self._clock() >= self._said_at + SAID_EACH_SECONDS
            lost, self._lost = self._lost, 0 if due else self._lost
            self._said_at = self._clock() if due else self._said_at
        if due:
            log.warning("%s events of broker %s are lost: more than can wait, or waited too long", lost, self._broker)

    def _note_heard(self) -> None:
        if self._heard_at is not None and self._clock() >= self._heard_at:
            self._heard_at += HEARD_SECONDS
            note_heard(broker=self._broker, now=utc_now())
