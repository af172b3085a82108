"""Running one wake-up: claim its row, do what it asks for, write down how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import Case, F, IntegerField, When

from kernel.core.errors import DomainError, Unavailable
from kernel.core.journal import Entry, StepState
from kernel.models import Wakeup
from kernel.services.keep_lease import kept_lease
from kernel.services.send_wakeups import RESEND_AFTER, send

log = logging.getLogger(__name__)

MAX_FAULTS = 12
_COUNT = IntegerField()


class Defer(Exception):
    """Raised by a wake-up's body that wants to be woken later; no fault is counted."""

    def __init__(self, *, until: datetime, detail: str = "") -> None:
        super().__init__(detail)
        self.until = until
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """What a wake-up's body is given. `attempt` counts from 1."""

    entry: Entry
    target: str
    attempt: int
    order_key: str = ""


Body = Callable[[Wake], str | None]


def run_wakeup(wakeup: int, *, body: Body, clock: Callable[[], datetime], lease: timedelta) -> StepState | None:
    """The state the wake-up is in afterwards; None if it was not for us to run (done, leased, held back, not its turn).

    `body` runs outside of any transaction, at least once; what it returns is the step's detail. While it runs the
    lease is renewed, so that `lease` bounds how long a killed worker is waited for, not how long a body may take.
    """
    row = _claim(wakeup, now=clock(), lease=lease)
    if row is None:
        return None
    if row.faults > MAX_FAULTS:
        return _finish(row, state=StepState.FAILED, detail="Its worker died each time.", now=clock())
    try:
        with kept_lease(row, lease=lease, clock=clock):
            wake = Wake(entry=row.entry.as_value(), target=row.target, attempt=row.attempts, order_key=row.order_key)
            detail = body(wake) or ""
    except Defer as wish:
        return _put_back(row, until=wish.until, detail=wish.detail)
    except Unavailable as error:
        return _put_back(row, until=clock() + timedelta(seconds=min(row.attempts, 2)), detail=error.detail)
    except Exception as error:
        log.exception("wake-up %s (%s, %s) failed", row.pk, row.task, row.target)
        detail = error.detail if isinstance(error, DomainError) else f"{type(error).__name__}: see the worker's log."
        return _after_fault(row, detail=detail, now=clock())
    return _finish(row, state=StepState.DONE, detail=detail, now=clock())


def _claim(wakeup: int, *, now: datetime, lease: timedelta) -> Wakeup | None:
    rows = Wakeup.objects.claimable(now=now).filter(pk=wakeup)
    try:
        with transaction.atomic():
            claimed = rows.update(
                state=StepState.RUNNING,
                lease=uuid4(),
                lease_until=now + lease,
                wake_at=now + lease,
                held_until=None,
                attempts=F("attempts") + 1,
                faults=Case(When(state=StepState.RUNNING, then=F("faults") + 1), default="faults", output_field=_COUNT),
                sends=0,
            )
    except IntegrityError:  # another of its key was claimed in the same moment
        return None
    if not claimed:
        return None
    Wakeup.objects.filter(pk=wakeup, started_at=None).update(started_at=now)
    return Wakeup.objects.select_related("entry").get(pk=wakeup)


def _after_fault(row: Wakeup, *, detail: str, now: datetime) -> StepState | None:
    faults = row.faults + 1
    if faults >= MAX_FAULTS:
        return _finish(row, state=StepState.FAILED, detail=detail, now=now)
    state = _put_back(row, until=now + timedelta(seconds=min(2**faults, 300)), detail=detail, faults=faults)
    if state is not None and row.order_key:
        _send_following(row, now=now)
    return state


def _put_back(row: Wakeup, *, until: datetime, detail: str, faults: int | None = None) -> StepState | None:
    changed = Wakeup.objects.filter(pk=row.pk, lease=row.lease).update(
        state=StepState.PENDING,
        lease=None,
        lease_until=None,
        wake_at=until,
        held_until=until,
        detail=detail,
        faults=row.faults if faults is None else faults,
    )
    return StepState.PENDING if changed else None


def _finish(row: Wakeup, *, state: StepState, detail: str, now: datetime) -> StepState | None:
    changed = Wakeup.objects.filter(pk=row.pk, lease=row.lease).update(
        state=state, lease=None, lease_until=None, detail=detail, finished_at=now
    )
    if not changed:
        log.warning("wake-up %s (%s, %s) was taken over while it ran", row.pk, row.task, row.target)
        return None
    if row.order_key:
        _send_following(row, now=now)
    return state


def _send_following(row: Wakeup, *, now: datetime) -> None:
    """Tells of the next of its key: those that are tried again take turns with the others, so that none waits for all.

    Behind one that was tried again comes another only if there is nothing else.
    """
    pending = Wakeup.objects.claimable(now=now).filter(order_key=row.order_key, state=StepState.PENDING)
    following = pending.order_by("faults" if row.faults else "-faults", "pk").first()
    if following is not None and send(following):
        Wakeup.objects.filter(pk=following.pk, state=StepState.PENDING).update(wake_at=now + RESEND_AFTER)
