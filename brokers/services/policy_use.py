"""What of the policy is used, and what is denied: counted in memory, and written down every ten seconds.

Whoever judges a request, or is told of one, calls `note`:

    note(broker=…, principal=…, request=Publish(…) | Subscribe(…), verdict=Allow(…) | Deny(…), now=…) -> None

It costs some microseconds, waits for nobody, and never contacts the database: a thread of its own does. Both verdicts
are worth a call, and those from a cache as well; a Receive is ignored. What is not yet written when the process ends is
lost, so a process that ends in order calls `flush`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Lock
from uuid import UUID

from django.db import close_old_connections

from acl.core.values import Allow, DenyReason, Principal, Receive, Request, Verdict
from brokers.core.access_counts import Counts
from brokers.core.access_reasons import AccessReason
from brokers.core.values import BrokerId
from brokers.services.policy_use_rows import write_counts
from devices.core.values import DeviceId

log = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0

_REASONS = {
    DenyReason.NO_RULE: AccessReason.NOT_ALLOWED,
    DenyReason.DENY_RULE: AccessReason.DENY_RULE,
    DenyReason.ONLY_TOGETHER: AccessReason.ONLY_TOGETHER,
    DenyReason.MALFORMED: AccessReason.MALFORMED_TOPIC,
}


class UseNotes:
    """The counts of one process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy-use")
        self._lock = Lock()
        self._counts = Counts()
        self._heard: dict[BrokerId, datetime] = {}
        self._clock = clock
        self._due: float | None = None

    def note(
        self, *, broker: BrokerId, principal: Principal, request: Request, verdict: Verdict, now: datetime
    ) -> None:
        """Returns at once."""
        if isinstance(request, Receive):
            return
        device = _device(principal)
        with self._lock:
            if isinstance(verdict, Allow):
                self._counts.allow(broker, verdict.rule.rule, request, principal, device, day=now.date())
            elif device is not None:
                rule = verdict.rule.rule.id if verdict.rule else None
                reason = _REASONS[verdict.reason]
                self._counts.deny(broker, rule, request, principal, device, reason=reason, at=now)
        self._flush_in_time()

    def note_heard(self, *, broker: BrokerId, now: datetime) -> None:
        """Returns at once; whoever listens to the broker says so in each minute, which counts once."""
        minute = now.replace(second=0, microsecond=0)
        with self._lock:
            if self._heard.get(broker) == minute:
                return
            self._heard[broker] = minute
            self._counts.hearing(broker, now.date()).minutes += 1
        self._flush_in_time()

    def flush(self) -> None:
        """Writes down what was noted; what can not be written stays noted."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
        try:
            write_counts(counts)
        except Exception:  # whatever it is: to count is no reason to fail
            log.exception("what was used of the policy is not written down; trying again")
            with self._lock:
                self._counts.merge(counts)

    def _flush_in_time(self) -> None:
        now = self._clock()
        with self._lock:
            if self._due is None:
                self._due = now + FLUSH_SECONDS
            if now < self._due:
                return
            self._due = None
        self._thread.submit(self._flush_apart)

    def _flush_apart(self) -> None:
        close_old_connections()
        self.flush()
        close_old_connections()


def _device(principal: Principal) -> DeviceId | None:
    try:
        return DeviceId(UUID(principal.id))
    except ValueError:
        return None  # an application


_notes = UseNotes()
note, note_heard, flush = _notes.note, _notes.note_heard, _notes.flush
