"""What the thread of a connection hears, until the watcher takes it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from threading import Event, Lock
from typing import Generic, TypeVar

from brokers.core.values import EventsLost

MOST_WAITING = 10_000
_LOOK_SECONDS = 0.25
_Item = TypeVar("_Item")


class Inbox(Generic[_Item]):
    """For one thread that puts and one that takes. What is more than 10,000 items that wait is lost, and counted."""

    def __init__(self) -> None:
        self._items: queue.Queue[_Item] = queue.Queue(MOST_WAITING)
        self._lost, self._lock = 0, Lock()
        self._ended = Event()

    def put(self, item: _Item) -> None:
        """Returns at once."""
        try:
            self._items.put_nowait(item)
        except queue.Full:
            with self._lock:
                self._lost += 1

    def end(self) -> None:
        """Nothing more is put."""
        self._ended.set()

    def taken(self, stop: Event) -> Iterator[_Item | EventsLost | None]:
        """Every item, until `stop` is set or the last was taken; None when there is none for a quarter of a second."""
        while not stop.is_set():
            with self._lock:
                lost, self._lost = self._lost, 0
            if lost:
                yield EventsLost(lost)
            has_ended = self._ended.is_set()
            try:
                yield self._items.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if has_ended:
                    return
                yield None
