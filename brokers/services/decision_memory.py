"""What one process knows of brokers' secrets and of principals, kept true by following the journal.

The journal's end is read again when that was longer ago than a third of a second, so that a change shows within a
second in every process. While the database is away, what is known goes on holding, for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore, Lock

from django.db import Error as DatabaseFault
from joserfc.jwk import ECKey

from brokers.core.decide.epoch import Epoch
from brokers.core.decide.judging import Judged
from brokers.core.values import BrokerId
from brokers.queries import list_token_keys
from brokers.services.decision_doors import Door, read_doors
from brokers.services.decision_learning import Ground, Key, Known
from brokers.services.learning_together import Together
from devices.core.names import name_fault
from devices.core.values import DeviceId
from kernel import queries as journal
from kernel.core.errors import Unavailable
from kernel.core.ids import DomainId
from kernel.core.lane import lane
from kernel.services.reconnect import reconnecting
from pki.core.bounded_cache import BoundedCache

FRESH_SECONDS = 0.3
YOUNG_SECONDS = 0.6  # what is older is believed only if it can not be read again
WAIT_SECONDS = 0.25  # of all together for one reading, which may hang
LEARNING_SECONDS = 5.0  # of one who is not known, for the same
HANGS_SECONDS = 2.0  # until all that learn are taken to be waiting for a database that hangs
MOST_LEARNING = 6  # at once, of the eight threads that a web process has: the others answer about who is known
ALONE_SECONDS = 60.0
MOST_ENTRIES = 1_000
MOST_KNOWN = 100_000  # 1 to 2 kB each
MOST_READY = 10_000
MOST_STRANGERS = 10_000
MOST_GROUNDS = 1_000
AT_ONCE = 100
TRIES = 3


Wanted = tuple[str, datetime]
"""An auth id, and when it is asked about."""


class DecisionsAlone(Unavailable):
    """The database has been away for so long that nothing is known any more, or somebody can not be learnt."""

    code = "decisions-alone"


class DecisionMemory:
    """One process's memory; thread-safe. `clock` counts seconds and never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoch = Epoch()
        self._end = -1
        self._read_at = self._again_at = self._begun_at = float("-inf")
        self._reading = Lock()
        self._swept = 0
        self._doors: tuple[int, Mapping[str, Door]] = (-1, {})
        self._token_keys: tuple[int, Mapping[str, ECKey]] = (-1, {})
        self._known: BoundedCache[Key, Known] = BoundedCache(MOST_KNOWN)
        self._ready: BoundedCache[DeviceId, tuple[Known, Judged]] = BoundedCache(MOST_READY)
        self._strangers: BoundedCache[tuple[DomainId, str], int] = BoundedCache(MOST_STRANGERS)
        self._grounds: BoundedCache[DomainId, Ground] = BoundedCache(MOST_GROUNDS)
        self._grounding = Lock()
        self._learning: dict[tuple[DomainId, BrokerId | None], Together[Wanted, Known]] = {}
        self._learners = BoundedSemaphore(MOST_LEARNING)
        self._learning_hangs = False
        self._learnt_at = 0.0  # by time.monotonic, whatever the clock is: it bounds the wait for a lock, which is real

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
        seconds = WAIT_SECONDS if self._end < 0 else max(0.0, self._begun_at + WAIT_SECONDS - now)
        if seconds:  # and not at each answer for as long as the database hangs
            lane.leave()
        return seconds

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
        """The principal of that auth id at that broker, or None.

        Raises a database error and DecisionsAlone if it is not known already.
        """
        known = self._known.get((domain, auth_id, broker))
        if known is not None and now < known.until and self._holds(known):
            return known
        since = self._strangers.get((domain, auth_id))
        if since is not None and self._epoch.has_stranger(domain, since=since):
            return None
        if name_fault(auth_id):
            return None
        self._begin_learning()
        try:
            return self._together(domain, broker).get((auth_id, now))
        finally:
            self._learning_hangs, self._learnt_at = False, time.monotonic()
            self._learners.release()
            time.sleep(0)  # who waits goes first: a thread that asks again at once would be faster

    def _begin_learning(self) -> None:
        """Waits for its turn. Raises DecisionsAlone once nobody has come to an end for two seconds."""
        lane.leave()
        began = time.monotonic()
        while not self._learners.acquire(timeout=0.0 if self._learning_hangs else HANGS_SECONDS):
            if self._learnt_at < began:
                self._learning_hangs = True
                raise DecisionsAlone("The database does not answer: nobody who is not known is let in until it does.")
            began = time.monotonic()

    def _together(self, domain: DomainId, broker: BrokerId | None) -> Together[Wanted, Known]:
        learning = self._learning.get((domain, broker))
        if learning is None:
            read = partial(self._learn_asked, domain, broker)
            learning = self._learning.setdefault((domain, broker), Together(read, most=AT_ONCE))
        return learning

    def judged(self, known: Known) -> Judged:
        """The principal with its policy made ready."""
        ready = self._ready.get(known.device)
        if ready is not None and ready[0] is known:
            return ready[1]
        judged = Judged.of(known.subject, until=known.until)
        self._ready.put(known.device, (known, judged))
        return judged

    def learn_anew(self, *, now: datetime) -> None:
        """Learns again, some at a time, those who were asked about lately and became stale with all of their domain.

        Raises a database error and DecisionsAlone.
        """
        swept = self._epoch.swept
        if swept == self._swept:
            return
        for (domain, broker), auth_ids in self._asked_and_stale().items():
            for first in range(0, len(auth_ids), AT_ONCE):
                self._learn(domain, broker, auth_ids[first : first + AT_ONCE], now=now)
                if self._epoch.swept != swept:
                    return  # once more, from the beginning
        self._swept = swept

    def _asked_and_stale(self) -> dict[tuple[DomainId, BrokerId | None], list[str]]:
        """Who was judged since it was learnt, and is not known any more."""
        found: dict[tuple[DomainId, BrokerId | None], list[str]] = {}
        for known, _ in self._ready.values():
            domain, auth_id, broker = known.key
            if self._known.get(known.key) is known and not self._holds(known):
                found.setdefault((domain, broker), []).append(auth_id)
        return found

    def _holds(self, known: Known) -> bool:
        return self._epoch.has_device(known.device, known.key[0], since=known.since, name=known.name)

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

    def _learn(
        self, domain: DomainId, broker: BrokerId | None, auth_ids: Collection[str], *, now: datetime
    ) -> dict[str, Known]:
        """Those of them that there are, who are known from here on.

        The ground was read before, and what is a device's own in several statements: should something have happened
        meanwhile, one in its new groups would be judged by their old rules, which may be more than it could ever do. So
        that is looked at, and read again; who changed each time is left out.
        """
        for _ in range(TRIES):
            since = self._epoch.number
            ground = reconnecting(partial(self._ground, domain))
            learn = partial(ground.learn, auth_ids=auth_ids, broker=broker, since=since, now=now)
            learnt = reconnecting(learn)
            self._follow_to_end()
            holding = {auth_id: known for auth_id, known in learnt.items() if self._holds(known)}
            if len(holding) == len(learnt):
                break
        for known in holding.values():
            self._known.put(known.key, known)
        for auth_id in auth_ids:
            if auth_id not in learnt:
                self._strangers.put((domain, auth_id), since)
        return holding

    def _learn_asked(
        self, domain: DomainId, broker: BrokerId | None, asked: Collection[Wanted]
    ) -> Mapping[Wanted, Known]:
        """The same of those whom several threads ask about at about the same time."""
        learnt = self._learn(domain, broker, {auth_id for auth_id, _ in asked}, now=max(now for _, now in asked))
        return {each: learnt[each[0]] for each in asked if each[0] in learnt}

    def _ground(self, domain: DomainId) -> Ground:
        """What is known of all of the domain and holds, or is read now; one thread reads it."""
        with self._grounding:
            ground = self._grounds.get(domain)
            if ground is None or not self._epoch.has_domain(domain, since=ground.since):
                ground = Ground(domain, since=self._epoch.number)
                self._grounds.put(domain, ground)
            return ground

    def _follow_to_end(self) -> None:
        """Learns all that has happened until now. Raises DecisionsAlone if that can not be read."""
        began = self._clock()
        if self._reading.acquire(timeout=LEARNING_SECONDS):
            try:
                self._read_journal(self._clock() - began)
            finally:
                self._reading.release()
            if self._read_at >= began:
                return
        raise DecisionsAlone("What has happened can not be read: nobody who is not known is let in until it can be.")
