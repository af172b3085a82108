"""A mapping that forgets its oldest entries, for answers that are cheap to make again."""

from __future__ import annotations

from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """At most `size` entries; thread-safe, and reading takes no lock."""

    __slots__ = ("_entries", "_lock", "_size")

    def __init__(self, size: int) -> None:
        self._entries: dict[Key, Value] = {}
        self._lock = Lock()
        self._size = size

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        """What was put there, unless it was forgotten."""
        return self._entries.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keeps it, and forgets what was put there longest ago if there are too many."""
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = value
            while len(self._entries) > self._size:
                del self._entries[next(iter(self._entries))]
