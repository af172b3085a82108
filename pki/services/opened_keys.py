"""Keys that this process has opened: kept a while, since unwrapping and reading one costs more than signing with it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from pki.core.keys import SigningKey
from pki.core.values import KeyId

MOST = 256
KEPT_SECONDS = 300.0


class OpenedKeys:
    """At most `MOST` keys, each for at most `KEPT_SECONDS`, under one master key. In this process's memory alone."""

    __slots__ = ("_clock", "_keys", "_lock")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._keys: dict[tuple[KeyId, bytes], tuple[float, SigningKey]] = {}
        self._lock = Lock()
        self._clock = clock

    def __repr__(self) -> str:
        return f"OpenedKeys({len(self._keys)} hidden)"

    def get(self, id: KeyId, *, under: bytes) -> SigningKey | None:
        """The key, if it was opened lately, under the master key of this id."""
        found = self._keys.get((id, under))
        return found[1] if found and self._clock() < found[0] else None

    def put(self, id: KeyId, key: SigningKey, *, under: bytes) -> None:
        """Keeps the key; what was opened longest ago is forgotten if there are too many."""
        with self._lock:
            self._keys.pop((id, under), None)
            self._keys[id, under] = (self._clock() + KEPT_SECONDS, key)
            while len(self._keys) > MOST:
                del self._keys[next(iter(self._keys))]

    def forget(self, id: KeyId) -> None:
        """The key is read again when it is next needed."""
        with self._lock:
            for known in [known for known in self._keys if known[0] == id]:
                del self._keys[known]
