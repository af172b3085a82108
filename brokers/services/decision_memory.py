"""What one process knows of brokers' secrets and of principals, kept true by following the journal.

The journal's end is read again when that was longer ago than a third of a second, so that a change shows within a
second in every process. While the database is away, what is known goes on holding, for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

from django.db import Error as DatabaseFault
from joserfc.jwk import ECKey

from acl.core.values import BoundRule
from brokers.core.decide_epoch import Epoch
from brokers.core.decide_judging import Judged
from brokers.core.ports import RenderSubject
from brokers.core.values import BrokerId
from brokers.queries import list_token_keys
from brokers.services.decision_doors import Door, read_doors
from brokers.services.desired import desired_state_of, takes_passwords
from devices import queries as devices
from devices.core.names import name_fault
from devices.core.passwords import Password
from devices.core.values import DeviceId
from kernel import queries as journal
from kernel.core.errors import Unavailable
from kernel.core.ids import DomainId
from kernel.services.reconnect import reconnecting
from pki.core.bounded_cache import BoundedCache

FRESH_SECONDS = 0.3
YOUNG_SECONDS = 0.6  # what is older is believed only if it can not be read again
WAIT_SECONDS = 0.25  # of all together for one reading, which may hang
ALONE_SECONDS = 60.0
MOST_ENTRIES = 1_000
MOST_KNOWN = 100_000  # 1 to 2 kB each
MOST_READY = 10_000  # 2 kB for each rule
MOST_POLICIES = 10_000
MOST_STRANGERS = 10_000


class DecisionsAlone(Unavailable):
    """The database has been away for so long that nothing is known any more."""

    code = "decisions-alone"


@dataclass(frozen=True, slots=True)
class Known:
    """A principal as it was from epoch `since` on, and `until` a binding of it begins or ends (None: none does).

    `proofs`: until when each certificate proves it (None: never), by SHA-256. `passwords`: those that were good then,
    where the broker takes them.
    """

    device: DeviceId
    subject: RenderSubject
    since: int
    proofs: dict[bytes, datetime | None]
    until: datetime | None = None
    passwords: tuple[Password, ...] = ()


class DecisionMemory:
    """One process's memory; thread-safe. `clock` counts seconds and never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoch = Epoch()
        self._end = -1
        self._read_at = self._again_at = self._begun_at = float("-inf")
        self._reading = Lock()
        self._doors: tuple[int, Mapping[str, Door]] = (-1, {})
        self._token_keys: tuple[int, Mapping[str, ECKey]] = (-1, {})
        self._known: BoundedCache[tuple[DomainId, str, BrokerId | None], Known] = BoundedCache(MOST_KNOWN)
        self._ready: BoundedCache[DeviceId, Judged] = BoundedCache(MOST_READY)
        self._policies: BoundedCache[tuple[BoundRule, ...], tuple[BoundRule, ...]] = BoundedCache(MOST_POLICIES)
        self._strangers: BoundedCache[tuple[DomainId, str], int] = BoundedCache(MOST_STRANGERS)

    def follow(self, *, older_than: float = FRESH_SECONDS) -> None:
        """Learns what has happened, unless that was done less than so many seconds ago. Raises DecisionsAlone."""
        now = self._clock()
        age = now - self._read_at
        if age < older_than:
            return
        if self._again_at <= now and self._reading.acquire(timeout=self._patience(age, now)):
            self._begun_at = now
            try:
                self._read_journal(older_than)
            finally:
                self._reading.release()
        if self._clock() - self._read_at > ALONE_SECONDS:
            raise DecisionsAlone("The database is away: nobody is let in until it is back.")

    def _patience(self, age: float, now: float) -> float:
        """How long to wait for another thread that reads: until it has had its time; while nothing is known, anyway."""
        if age < YOUNG_SECONDS:
            return 0.0
        return WAIT_SECONDS if self._end < 0 else max(0.0, self._begun_at + WAIT_SECONDS - now)

    def door(self, broker: str) -> Door | None:
        """The broker of that id and its secrets; None if it has none. Raises a database error."""
        read_at, doors = self._doors
        if not self._epoch.has_doors(since=read_at):
            now = self._epoch.number
            doors = reconnecting(read_doors)
            self._doors = (now, doors)
        return doors.get(broker)

    def token_keys(self) -> Mapping[str, ECKey]:
        """The public keys of those that sign access tokens, by `kid`. Raises a database error."""
        read_at, keys = self._token_keys
        if not self._epoch.has_doors(since=read_at):
            now = self._epoch.number
            keys = {key.kid: ECKey.import_key(key.public_key) for key in reconnecting(list_token_keys)}
            self._token_keys = (now, keys)
        return keys

    def find(self, domain: DomainId, auth_id: str, *, broker: BrokerId | None = None, now: datetime) -> Known | None:
        """The principal of that auth id at that broker, or None. Raises a database error if it is not known already."""
        key = (domain, auth_id, broker)
        known = self._known.get(key)
        holds = known and (known.until is None or now < known.until)
        if known and holds and self._epoch.has_device(known.device, domain, since=known.since):
            return known
        since = self._strangers.get((domain, auth_id))
        if since is not None and self._epoch.has_stranger(domain, since=since):
            return None
        return None if name_fault(auth_id) else self._learn(key, now=now)

    def judged(self, known: Known) -> Judged:
        """The principal with its policy made ready."""
        ready = self._ready.get(known.device)
        if ready is None or ready.subject is not known.subject:
            ready = Judged.of(known.subject, until=known.until)
            self._ready.put(known.device, ready)
        return ready

    def _read_journal(self, older_than: float) -> None:
        if self._clock() - self._read_at < older_than:
            return  # another thread did while this one waited
        asked_at = self._clock()
        try:
            end = reconnecting(journal.journal_end)
            if 0 <= self._end < end <= self._end + MOST_ENTRIES:
                self._epoch.take(journal.entries_between(after=self._end, until=end))
            elif end != self._end:
                self._epoch.forget_all()
        except DatabaseFault:
            self._again_at = self._clock() + FRESH_SECONDS
            return
        self._end, self._read_at = end, asked_at

    def _learn(self, key: tuple[DomainId, str, BrokerId | None], *, now: datetime) -> Known | None:
        domain, auth_id, broker = key
        since = self._epoch.number
        device = reconnecting(lambda: devices.find_principal_id(domain=domain, auth_id=auth_id))
        if device is None:
            self._strangers.put((domain, auth_id), since)
            return None
        [subject] = desired_state_of(device=device, broker=broker, now=now).subjects
        until = devices.next_boundary(device=device, now=now)
        passwords = devices.good_passwords(device=device, now=now) if takes_passwords(broker) else ()
        known = Known(device, self._sharing(subject), since, {}, until, tuple(passwords))
        self._known.put(key, known)
        return known

    def _sharing(self, subject: RenderSubject) -> RenderSubject:
        """The same, with the very policy of others that have the same one."""
        policy = self._policies.get(subject.policy)
        if policy is None:
            self._policies.put(subject.policy, subject.policy)
            return subject
        return replace(subject, policy=policy)
