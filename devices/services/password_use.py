"""When a password proved its device last, as far as Gatehouse is asked: noted in memory, written down by a thread.

    note_password_use(password=…, now=…) -> None

It costs a microsecond, waits for nobody and contacts no database. A password is written at most once an hour, whoever
notes it; what can not be written is noted again at its next use.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Lock

from django.db import close_old_connections
from django.db.models import Q

from devices.core.passwords import PasswordId
from devices.models import Password
from pki.core.bounded_cache import BoundedCache

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
MOST_KNOWN = 100_000
MOST_WAITING = 10_000
"""Of what was noted and is not written yet; what comes beyond waits for the password's next use."""
_AT_ONCE = 500


class PasswordUse:
    """The notes of one process; thread-safe. `start` has something done soon, by somebody else."""

    def __init__(self, *, start: Callable[[Callable[[], None]], object]) -> None:
        self.start = start
        self._lock = Lock()
        self._due_at: BoundedCache[PasswordId, datetime] = BoundedCache(MOST_KNOWN)
        self._waiting: dict[PasswordId, datetime] = {}
        self._is_started = False

    def note(self, *, password: PasswordId, now: datetime) -> None:
        """Returns at once."""
        due_at = self._due_at.get(password)
        if (due_at is not None and now < due_at) or len(self._waiting) >= MOST_WAITING:
            return
        self._due_at.put(password, now + EVERY)
        with self._lock:
            self._waiting[password] = now
            starts, self._is_started = not self._is_started, True
        if starts:
            with suppress(RuntimeError):  # the process ends
                self.start(self._write_apart)

    def write(self) -> None:
        """Writes down what was noted."""
        with self._lock:
            waiting, self._waiting, self._is_started = self._waiting, {}, False
        try:
            if waiting:
                _write(waiting, now=max(waiting.values()))
        except Exception:  # whatever it is: nobody is refused for it
            log.exception("when passwords were used is not written down")
            for password, noted_at in waiting.items():
                self._due_at.put(password, noted_at)

    def _write_apart(self) -> None:
        close_old_connections()
        self.write()
        close_old_connections()


def _write(used: Iterable[PasswordId], *, now: datetime) -> None:
    """All with one time: they were used within the same moments."""
    ids = sorted(used)
    for first in range(0, len(ids), _AT_ONCE):
        rows = Password.objects.filter(id__in=ids[first : first + _AT_ONCE])
        rows.filter(Q(last_used_at=None) | Q(last_used_at__lte=now - EVERY)).update(last_used_at=now)


_thread = ThreadPoolExecutor(1, thread_name_prefix="password-use")
password_use = PasswordUse(start=_thread.submit)
note_password_use = password_use.note
