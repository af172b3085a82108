"""Python's search for cyclic garbage, and doing without it where much is made that has no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class _Pauses:
    """How many there are now in this process, of all its threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._was_on = False

    def begin(self) -> None:
        with self._lock:
            if not self._count:
                self._was_on = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count and self._was_on:
                gc.enable()


_pauses = _Pauses()


@contextmanager
def collection_paused() -> Iterator[None]:
    """No search for cyclic garbage in this process while any thread is inside; then as it was before the first.

    For work that makes millions of values which live until its end: the search looks at them again and again.
    """
    _pauses.begin()
    try:
        yield
    finally:
        _pauses.end()
