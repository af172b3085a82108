"""One thread reads for all that wait: whoever comes meanwhile is read with the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Key, Value]):
    """One who waits, until `is_done`."""

    key: Key
    value: Value | None = None
    error: Exception | None = None
    is_done: bool = False


class Together(Generic[Key, Value]):
    """Asks `read` for what several threads want at once; at most `most` in one go."""

    def __init__(self, read: Callable[[Collection[Key]], Mapping[Key, Value]], *, most: int) -> None:
        self._read = read
        self._most = most
        self._waiting: deque[_Waiting[Key, Value]] = deque()
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """What a reading that begins after this was called found, or None. Raises what that raised."""
        ours: _Waiting[Key, Value] = _Waiting(key)
        self._waiting.append(ours)
        with self._lock:
            while not ours.is_done:  # once, unless more wait than are read in one go
                self._read_some()
        if ours.error is not None:
            raise ours.error
        return ours.value

    def _read_some(self) -> None:
        some: list[_Waiting[Key, Value]] = []
        with suppress(IndexError):
            while len(some) < self._most:
                some.append(self._waiting.popleft())
        try:
            found = self._read({each.key for each in some})
            for each in some:
                each.value = found.get(each.key)
        except Exception as error:  # noqa: BLE001 - each who waited raises it
            for each in some:
                each.error = error
        finally:
            for each in some:
                each.is_done = True
