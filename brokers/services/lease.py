"""The right to write to a broker: one writer at a time, and an eviction goes before all others.

Who reads, compares or plans under a lease loses it to an eviction at once, and finds out before it writes or notes
anything. Who writes asks between its batches whether it may go on. Either ends there, and is woken again. One of many
evictions first lets others end for some seconds: else so many would keep all else from the broker for hours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from brokers import models
from brokers.core.values import BrokerId
from kernel.core.errors import Unavailable

LEASE = timedelta(seconds=20)
_URGENT_WAIT_SECONDS = 8.0
_URGENT_POLL_SECONDS = 0.02
_OTHERS_FIRST_SECONDS = 8.0


class BrokerBusy(Unavailable):
    """Somebody else writes to the broker, or has to go first."""

    code = "broker-busy"


class Lease:
    """The right to write to one broker, until it is given back or 20 s after it was kept last."""

    __slots__ = ("_began", "_broker", "_now", "_token", "_urgent")

    def __init__(self, *, broker: BrokerId, now: datetime, urgent: bool) -> None:
        self._broker = broker
        self._now = now
        self._began = time.monotonic()
        self._token: UUID = uuid4()
        self._urgent = urgent

    def now(self) -> datetime:
        """The time: what the lease was given, and what has gone by since."""
        return self._now + timedelta(seconds=time.monotonic() - self._began)

    def take(self, *, others_first: bool = False) -> bool:
        """Whether it is ours now. `others_first`: it is taken from nobody, and before nobody who is urgent."""
        rows, now = models.Broker.objects.filter(id=self._broker), self.now()
        if self._urgent and not others_first:
            rows = rows.unwritten(now=now)
        else:
            rows = rows.unleased(now=now).exclude(yield_until__gt=now)
        return bool(rows.update(lease=self._token, lease_until=now + LEASE, lease_writes=self._urgent))

    def ask_others_to_yield(self) -> None:
        """Whoever writes gives the lease back after the batch it is in."""
        until = self.now() + timedelta(seconds=_URGENT_WAIT_SECONDS)
        models.Broker.objects.filter(id=self._broker).update(yield_until=until)

    def keep(self) -> None:
        """Prolongs the lease. Raises BrokerBusy if it was lost, or if an eviction waits for it."""
        self._keep()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Meanwhile an eviction does not take the lease, but waits for `keep`, and so for one batch. Raises as that."""
        self._keep(lease_writes=True)
        try:
            yield
        finally:
            self._ours().update(lease_writes=self._urgent)

    def give_back(self) -> None:
        """Ends it. Who had it last is remembered, so that one who only reads knows whether somebody came between."""
        self._ours().update(lease_until=None, **({"yield_until": None} if self._urgent else {}))

    def _keep(self, **changes: bool) -> None:
        rows = self._ours() if self._urgent else self._ours().exclude(yield_until__gt=self.now())
        if not rows.update(lease_until=self.now() + LEASE, **changes):
            raise BrokerBusy("An eviction goes first: the rest follows at once.")

    def _ours(self) -> models.BrokerQuerySet:
        return models.Broker.objects.filter(id=self._broker, lease=self._token)


@contextmanager
def lease_on(*, broker: BrokerId, now: datetime, urgent: bool = False, others_first: bool = False) -> Iterator[Lease]:
    """The lease. Raises BrokerBusy: at once, or if urgent after 8 s.

    Who is urgent and lets `others_first` waits for whoever has the lease, and is as urgent as others only after 8 s.
    """
    lease = Lease(broker=broker, now=now, urgent=urgent)
    taken = lease.take(others_first=others_first)
    if not taken and urgent and others_first:
        taken = _wait_for(lease, seconds=_OTHERS_FIRST_SECONDS, others_first=True)
    if not taken and urgent:
        lease.ask_others_to_yield()
        taken = _wait_for(lease, seconds=_URGENT_WAIT_SECONDS)
    if not taken:
        raise BrokerBusy("Somebody else writes to this broker just now: it follows at once.")
    try:
        yield lease
    finally:
        lease.give_back()


def _wait_for(lease: Lease, *, seconds: float, others_first: bool = False) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_URGENT_POLL_SECONDS)
        if lease.take(others_first=others_first):
            return True
    return False
