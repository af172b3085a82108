"""Writing refusals down. Whoever is refused may try again as fast as the network lets them; the access log may not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Protocol

from django.db import close_old_connections

from brokers.core.values import BrokerId
from brokers.services.admission import Refusal
from brokers.services.presence import note_refused
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
MOST_KEYS = 10_000
MOST_WAITING = 500

_Key = tuple[BrokerId, str, str, str]


class Asked(Protocol):
    """What is told of who asks to be let in; unproved."""

    @property
    def client_id(self) -> str: ...

    @property
    def address(self) -> str: ...


class RefusalLog:
    """Writes in a thread of its own. The same refusal is written once in ten seconds, with how often it was repeated.

    When more than 500 wait to be written, new ones are lost: the log of the process says so.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="refusals")
        self._lock = Lock()
        self._written: dict[_Key, tuple[float, int]] = {}
        self._waiting = 0
        self._clock = clock

    def note(self, broker: BrokerId, asked: Asked, refusal: Refusal) -> None:
        """Returns at once."""
        key = (broker, refusal.auth_id, asked.address, refusal.why)
        with self._lock:
            repeated = self._repeated(key)
            if repeated is None:
                return
            if self._waiting >= MOST_WAITING:
                log.warning("a refusal is not written down: too many are waiting")
                return
            self._waiting += 1
        self._thread.submit(self._write, broker, asked, refusal, repeated)

    def close(self) -> None:
        """What waits is lost."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _repeated(self, key: _Key) -> int | None:
        """How often it came since it was written last, or None if that was a moment ago."""
        now = self._clock()
        at, count = self._written.get(key, (now - QUIET_SECONDS, 0))
        if now - at < QUIET_SECONDS:
            self._written[key] = (at, count + 1)
            return None
        if len(self._written) >= MOST_KEYS:
            self._written.clear()
        self._written[key] = (now, 0)
        return count

    def _write(self, broker: BrokerId, asked: Asked, refusal: Refusal, repeated: int) -> None:
        close_old_connections()
        try:
            note_refused(
                broker=broker,
                at=utc_now(),
                auth_id=refusal.auth_id,
                client_id=asked.client_id,
                address=asked.address,
                reason=refusal.reason,
                detail=f"{refusal.why} ({repeated} times more before.)" if repeated else refusal.why,
            )
        except Exception:  # the log is no reason to fail
            log.exception("a refusal was not written down")
        finally:
            with self._lock:
                self._waiting -= 1
