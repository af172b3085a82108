"""Writing refusals down. Whoever is refused may try again as fast as the network lets them; the access log may not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from brokers.core.access.reasons import AccessAction
from brokers.core.values import AccessKind, BrokerEvent, BrokerId
from brokers.listen.intake import Intake
from brokers.services.admission import Refusal
from brokers.services.policy_use import note_lost
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
MOST_KEYS = 10_000
MOST_NEW = 1_000
"""Different ones of one broker in ten seconds, since whoever knocks may call itself something else each time."""

_Key = tuple[BrokerId, str, str, str]


class Asked(Protocol):
    """What is told of who asks to be let in; unproved."""

    @property
    def client_id(self) -> str: ...

    @property
    def address(self) -> str: ...


class RefusalLog:
    """Has refusals written down: the same one once in ten seconds, with how often it was repeated.

    What is more than 1,000 different ones of one broker in that time is lost, and counted.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._intake = Intake()
        self._lock = Lock()
        self._written: dict[_Key, tuple[float, int]] = {}
        self._new: dict[BrokerId, tuple[float, int]] = {}
        self._clock = clock

    def note(self, broker: BrokerId, asked: Asked, refusal: Refusal) -> None:
        """Returns at once."""
        with self._lock:
            repeated = self._repeated((broker, refusal.auth_id, asked.address, refusal.why))
            if repeated is None:
                return
            is_one_too_many = self._is_one_too_many(broker)
        if is_one_too_many:
            note_lost(broker=broker, count=1, now=utc_now())
            return
        event = BrokerEvent(
            at=utc_now(),
            kind=AccessKind.REFUSED,
            action=AccessAction.CONNECT,
            reason=refusal.reason,
            auth_id=refusal.auth_id,
            client_id=asked.client_id,
            address=asked.address,
            detail=f"{refusal.why} ({repeated} times more before.)" if repeated else refusal.why,
        )
        self._intake.take(broker, [event])

    def close(self) -> None:
        """Returns when all that was noted is written, or at once if the database is away."""
        self._intake.close()

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

    def _is_one_too_many(self, broker: BrokerId) -> bool:
        now = self._clock()
        since, count = self._new.get(broker, (now, 0))
        if now - since >= QUIET_SECONDS:
            since, count = now, 0
        self._new[broker] = since, count + 1
        if count == MOST_NEW:
            log.warning("more refusals at broker %s than are written down: %s in ten seconds", broker, MOST_NEW)
        return count >= MOST_NEW
