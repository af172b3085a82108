"""A mapping that forgets its oldest entries, for answers that are cheap to make again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def _one(_: object) -> int:
    return 1


class BoundedCache(Generic[Key, Value]):
    """Entries that weigh at most `size` together, 1 each unless `weigh` says.

    It is thread-safe, and reading takes no lock.
    """

    __slots__ = ("_entries", "_lock", "_size", "_weigh", "_weight")

    def __init__(self, size: int, *, weigh: Callable[[Value], int] = _one) -> None:
        self._entries: OrderedDict[Key, Value] = OrderedDict()  # finds its first entry at once, as a dict does not
        self._lock = Lock()
        self._size = size
        self._weigh = weigh
        self._weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        """What was put there, unless it was forgotten."""
        return self._entries.get(key)

    def values(self) -> list[Value]:
        """All that is kept now."""
        with self._lock:
            return list(self._entries.values())

    def put(self, key: Key, value: Value) -> None:
        """Keeps it, and forgets what was put there longest ago if all together is too much."""
        with self._lock:
            former = self._entries.get(key)
            self._entries[key] = value
            self._entries.move_to_end(key)
            self._weight += self._weigh(value) - (0 if former is None else self._weigh(former))
            while self._weight > self._size:
                self._weight -= self._weigh(self._entries.popitem(last=False)[1])
