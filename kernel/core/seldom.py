"""Logging what may happen thousands of times a second, without filling the disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock

SECONDS = 1.0


class Seldom(logging.Filter):
    """Lets a message of the same wording through once a second, and says then how many were kept back before it.

    The wording is the text before its arguments are put in, of which a program has few. `clock` counts seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        self._told: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is told."""
        now, wording = self._clock(), str(record.msg)
        with self._lock:
            told_at, kept_back = self._told.get(wording, (float("-inf"), 0))
            is_told = now - told_at >= SECONDS
            self._told[wording] = (now, 0) if is_told else (told_at, kept_back + 1)
        if is_told and kept_back:
            record.msg = f"{wording} (and {kept_back} more since the last)"
        return is_told
