"""Lets one thread of a web server at a time answer from memory, while the others rest.

An answer from memory takes microseconds of Python's lock. Threads that are all ready for the next one hand that lock
round, which costs two to three times as much as the answers do. So one has the lane and takes request after request;
whoever answered beside it rests before it takes another, and follows as soon as the one leaves to wait for a database.
One of those who rest watches for waits that nobody foresaw; only one, since each look costs the one that answers.
"""

from __future__ import annotations

import time
from threading import Condition, get_ident

PATIENCE_SECONDS = 0.01
"""After which one that answers nobody has lost the lane: it waits for something unforeseen, for requests, or ended."""
HURRY_SECONDS = 0.002
"""The same when it was lost a moment ago: bodies that come later than their heads come again and again."""
HURRIED_FOR_SECONDS = 1.0


class Lane:
    """The lane of one process; thread-safe. At worst two threads answer for a while where one would do.

    `patience` is in seconds.
    """

    def __init__(self, *, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._changed = Condition()
        self._holder: int | None = None
        self._turns = 0
        self._is_watched = False  # by one, whenever anybody rests
        self._lost_at = float("-inf")  # monotonic

    def keep(self) -> bool:
        """Called when an answer is made: whether this thread has the lane, else it is to rest."""
        if self._holder != get_ident():
            with self._changed:
                if self._holder is not None:
                    return False
                self._holder = get_ident()
        self._turns += 1
        return True

    def leave(self) -> None:
        """Called before waiting for anything: another thread takes the lane, if this one has it."""
        if self._holder == get_ident():
            with self._changed:
                if self._holder == get_ident():
                    self._holder = None
                    self._changed.notify()

    def rest(self) -> None:
        """Waits until this thread has the lane."""
        with self._changed:
            while self._holder is not None:
                if self._is_watched:
                    self._changed.wait()
                elif self._is_lost():
                    break
            self._holder = get_ident()
            self._changed.notify()  # another is to watch

    def _is_lost(self) -> bool:
        """Whether nobody was answered, nor the lane left, while this thread watched."""
        is_hurried = time.monotonic() - self._lost_at < HURRIED_FOR_SECONDS
        turns, self._is_watched = self._turns, True
        is_told = self._changed.wait(min(self._patience, HURRY_SECONDS) if is_hurried else self._patience)
        self._is_watched = False
        if is_told or turns != self._turns:
            return False
        self._lost_at = time.monotonic()
        return True


lane = Lane()
