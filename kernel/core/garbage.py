"""Python's search for cyclic garbage, and doing without it where much is made that has no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_pausing = 0
_was_on = False


@contextmanager
def collection_paused() -> Iterator[None]:
    """No search for cyclic garbage in this process while any thread is inside; afterwards as it was before the first.

    For work that makes millions of values which all live until its end: a search looks at them again and again.
    """
    global _pausing, _was_on  # of the whole process, as the collector is
    with _lock:
        if not _pausing:
            _was_on = gc.isenabled()
            gc.disable()
        _pausing += 1
    try:
        yield
    finally:
        with _lock:
            _pausing -= 1
            if not _pausing and _was_on:
                gc.enable()
