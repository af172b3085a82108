"""Asking brokers that did not answer last time, or were slow, without keeping those waiting that do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Lock
from uuid import UUID

from brokers import models, queries
from brokers.adapters.dialing import dial
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import BrokerId, Connection, SyncState
from brokers.services import records

_CONNECT_SECONDS = 2.0
"""For the TCP connection alone, one lost packet included: what an adapter waits for may take a minute."""
_SLOW_SECONDS = 2.0
"""Throwing somebody out takes a tenth of that where all is well; an adapter that is kept waiting may take minutes."""
_AT_ONCE = 16
"""Half of a worker's threads (console/processes.py)."""
_OF_ONE_DOMAIN = 8
"""So that one domain's brokers, however many there are, keep nobody from those of another."""


class _Room:
    """How many threads of the process are with such brokers, by domain."""

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), Counter[UUID]()

    def enter(self, domain: UUID) -> bool:
        """Whether there is room for one more."""
        with self._lock:
            is_free = self._inside.total() < _AT_ONCE and self._inside[domain] < _OF_ONE_DOMAIN
            self._inside[domain] += is_free
            return is_free

    def leave(self, domain: UUID) -> None:
        """Makes room."""
        with self._lock:
            self._inside[domain] -= 1


_room = _Room()
_slow = set[tuple[BrokerId, str]]()


@contextmanager
def knocking(*, broker: BrokerId, now: datetime, quick: str = "") -> Iterator[None]:
    """A context in which a worker speaks to the broker.

    Where the broker did not answer last time, it has to take a connection within 2 s first. At most 16 threads of the
    process are with such brokers at once, 8 with those of one domain. `quick` names what takes little time where all is
    well: those that took more than 2 s for the same last time count among such brokers. Raises BrokerUnreachable.
    """
    rows = models.Broker.objects.filter(id=broker)
    row = (rows if (broker, quick) in _slow else rows.filter(sync=SyncState.UNREACHABLE)).first()
    with ExitStack() as room:
        if row is not None:
            if not _room.enter(row.domain_id):
                raise BrokerUnreachable("It did not answer in time last time, and others like it are asked before it.")
            room.callback(_room.leave, row.domain_id)
            if row.sync == SyncState.UNREACHABLE:
                _knock(row, now=now)
        began = time.monotonic()
        try:
            yield
        finally:
            if quick:
                (_slow.add if time.monotonic() - began > _SLOW_SECONDS else _slow.discard)((broker, quick))


def _knock(row: models.Broker, *, now: datetime) -> None:
    try:
        _connect(queries.opened_connection(row))
    except BrokerUnreachable as error:
        records.note_unreachable(broker=BrokerId(row.id), now=now, detail=error.detail)
        raise


def _connect(connection: Connection) -> None:
    """Nothing, if somebody takes a connection there, or the broker is spoken to through files alone."""
    host, port = connection.get("host"), connection.get("port")
    if host is None or port is None:
        return
    try:
        dial(host, port, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise BrokerUnreachable(f"Nobody takes a connection at {host}:{port}: {error}.") from error
