"""Asking for a check of a broker when something says that it may have drifted; each is checked every 15 s besides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from brokers.core.values import BrokerId
from brokers.tasks import check_one

log = logging.getLogger(__name__)

APART_SECONDS = 2.0


class CheckAsker:
    """For one broker: one check in two seconds at most, and one after whatever was noticed last."""

    def __init__(self, broker: BrokerId, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker, self._clock = broker, clock
        self._last = float("-inf")

    def ask(self) -> None:
        """Has the broker checked at once, or in two seconds at most. Without a queue it is left to the schedule."""
        now = self._clock()
        if self._last > now:
            return
        self._last = max(now, self._last + APART_SECONDS)
        try:
            check_one.apply_async(kwargs={"broker": str(self._broker)}, countdown=self._last - now, retry=False)
        except Exception as error:  # noqa: BLE001 - whatever the queue has, the watch goes on
            log.warning("no check of broker %s could be asked for: %s", self._broker, type(error).__name__)
