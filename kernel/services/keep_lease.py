"""Renewing the lease of a wake-up for as long as its body runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import DatabaseError, connection

from kernel.models import Wakeup

log = logging.getLogger(__name__)

LONGEST_RUN = timedelta(minutes=15)


@contextmanager
def kept_lease(row: Wakeup, *, lease: timedelta, clock: Callable[[], datetime]) -> Iterator[None]:
    """A context in which the lease does not run out, for at most LONGEST_RUN: a body that hangs is taken over then."""
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(row, lease, clock, ended), name=f"lease-{row.pk}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()


def _keep(row: Wakeup, lease: timedelta, clock: Callable[[], datetime], ended: threading.Event) -> None:
    rest = LONGEST_RUN // (lease / 3)
    while rest > 0 and not ended.wait(lease.total_seconds() / 3):
        rest -= 1
        until = clock() + lease
        try:
            if not Wakeup.objects.filter(pk=row.pk, lease=row.lease).update(lease_until=until, wake_at=until):
                return
        except DatabaseError:
            log.warning("the lease of wake-up %s could not be renewed", row.pk, exc_info=True)
        finally:
            connection.close()
