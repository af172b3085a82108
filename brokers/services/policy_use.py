"""What of the policy is used, and what is denied: counted in memory, and written down every ten seconds.

Whoever judges a request, or is told of one, calls `note`:

    note(broker=…, principal=…, request=Publish(…) | Subscribe(…), verdict=Allow(…) | Deny(…), now=…) -> None

or `note_decided` with what was decided of several, which is counted the quicker if it is the very same again and again.
It costs a microsecond, waits for nobody, and neither counts nor contacts the database: a thread of its own does both.
Both verdicts are worth a call, and those from a cache as well; a Receive is ignored. What is not yet written when the
process ends is lost, so a process that ends in order calls `flush`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from itertools import islice
from threading import Lock
from uuid import UUID

from django.db import close_old_connections

from acl.core.values import Allow, DenyReason, Principal, Receive, Request, Rule, RuleId, Verdict
from brokers.core.access.counts import Counts, Used
from brokers.core.access.reasons import AccessReason
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


MOST_WAITING = 100_000
"""Of what was noted and is not counted yet; what comes beyond is dropped, and how much that was is logged."""
_MANY_WAITING = 20_000
_IN_ONE_GO = 25
_REST_SECONDS = 0.0005
"""After so many: fewer than Python would interrupt, since each interruption costs the answers ten of these."""

Decided = tuple[tuple[Request, Verdict], ...]
Noted = tuple[BrokerId, Principal, Decided, datetime]


class UseNotes:
    """The counts of one process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy-use")
        self._lock = Lock()
        self._waiting: deque[Noted] = deque()
        self._dropped = 0
        self._counts = Counts()
        self._heard: dict[BrokerId, datetime] = {}
        self._clock = clock
        self._due: float | None = None
        self._writes = False

    def note(
        self, *, broker: BrokerId, principal: Principal, request: Request, verdict: Verdict, now: datetime
    ) -> None:
        """Returns at once."""
        self.note_decided(broker=broker, principal=principal, decided=((request, verdict),), now=now)

    def note_decided(self, *, broker: BrokerId, principal: Principal, decided: Decided, now: datetime) -> None:
        """The same of several requests, or none."""
        if not decided:
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((broker, principal, decided, now))
        else:
            with self._lock:
                self._dropped += 1
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

    def note_lost(self, *, broker: BrokerId, count: int, now: datetime) -> None:
        """Returns at once; so much that the broker told is not written down."""
        with self._lock:
            self._counts.hearing(broker, now.date()).lost += count
        self._flush_in_time()

    def flush(self) -> None:
        """Writes down what was noted; what can not be written stays noted."""
        with self._lock:
            counts, self._counts = self._counts, Counts()
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("%d uses of the policy are not counted: more was asked than could be counted", dropped)
        self._count_waiting(counts)
        try:
            write_counts(counts)
        except Exception:  # whatever it is: to count is no reason to fail
            log.exception("what was used of the policy is not written down; trying again")
            with self._lock:
                self._counts.merge(counts)

    def _count_waiting(self, counts: Counts) -> None:
        """Counts what waits now, each thing that was decided once for all the times that it was."""
        last: dict[tuple[int, date], tuple[Noted, int]] = {}
        with suppress(IndexError):  # another thread may count as well
            for number in range(MOST_WAITING):
                if number % _IN_ONE_GO == _IN_ONE_GO - 1:
                    time.sleep(_REST_SECONDS)
                noted = self._waiting.popleft()
                what = id(noted[2]), noted[3].date()
                before = last.get(what)
                last[what] = noted, before[1] + 1 if before else 1
        found = iter(last.values())
        while some := list(islice(found, _IN_ONE_GO)):
            _count(counts, some)
            time.sleep(_REST_SECONDS)

    def _flush_in_time(self) -> None:
        due = self._due
        if due is not None and self._clock() < due and len(self._waiting) < _MANY_WAITING:
            return
        with self._lock:
            now = self._clock()
            if self._due is None:
                self._due = now + FLUSH_SECONDS
            if self._writes or (now < self._due and len(self._waiting) < _MANY_WAITING):
                return
            self._due, self._writes = None, True
        self._thread.submit(self._flush_apart)

    def _flush_apart(self) -> None:
        try:
            close_old_connections()
            self.flush()
            close_old_connections()
        finally:
            self._writes = False


def _count(counts: Counts, noted: Iterable[tuple[Noted, int]]) -> None:
    allowed: dict[tuple[BrokerId, RuleId, date], tuple[Rule, list[Used]]] = {}
    for (broker, principal, decided, now), count in noted:
        for request, verdict in decided:
            if isinstance(request, Receive):
                continue
            if isinstance(verdict, Allow):
                rule = verdict.rule.rule
                allowed.setdefault((broker, rule.id, now.date()), (rule, []))[1].append((request, principal, count))
            elif (device := _device(principal)) is not None:
                denying = verdict.rule.rule.id if verdict.rule else None
                reason = _REASONS[verdict.reason]
                counts.deny(broker, denying, request, principal, device, reason=reason, at=now, count=count)
    for (broker, _, day), (rule, used) in allowed.items():
        device = next(filter(None, (_device(principal) for _, principal, _ in reversed(used))), None)
        counts.allow(broker, rule, used, device=device, day=day)


def _device(principal: Principal) -> DeviceId | None:
    try:
        return DeviceId(UUID(principal.id))
    except ValueError:
        return None  # an application


_notes = UseNotes()
note, note_decided, note_heard, note_lost = _notes.note, _notes.note_decided, _notes.note_heard, _notes.note_lost
flush = _notes.flush
