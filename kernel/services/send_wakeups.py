"""Telling workers of wake-ups. The row is the truth: a message may be lost, late or doubled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from celery import current_app
from django.db.models import F

from kernel.core.journal import Queue
from kernel.models import Wakeup

log = logging.getLogger(__name__)

RESEND_AFTER = timedelta(seconds=3)
RESEND_AT_MOST_AFTER = timedelta(seconds=60)


def send(wakeup: Wakeup) -> bool:
    """Whether a worker was told of the row. A message that can not be sent is no loss: the sweep sends it again."""
    try:
        current_app.send_task(wakeup.task, kwargs={"wakeup": wakeup.pk}, queue=wakeup.queue, retry=False)
    except Exception as error:  # noqa: BLE001 - any transport error of any broker
        log.warning("wake-up %s was not sent, the sweep will: %s", wakeup.pk, type(error).__name__)
        return False
    return True


def send_all(wakeups: Sequence[Wakeup]) -> int:
    """How many of them workers were told of: it ends at the first that can not be sent, to hold nobody up."""
    for sent, wakeup in enumerate(wakeups):
        if not send(wakeup):
            return sent
    return len(wakeups)


def sweep(*, now: datetime, limit: int = 200) -> int:
    """How many due wake-ups were sent (again): their message was lost, their worker died, or they asked to wait.

    At most `limit` for each queue, so that a long queue keeps no other one waiting. What is sent again and not
    taken up waits twice as long each time, since then it is workers that are missing, not messages.
    """
    return sum(_sweep_queue(queue, now=now, limit=limit) for queue in Queue)


def _sweep_queue(queue: Queue, *, now: datetime, limit: int) -> int:
    rows = list(Wakeup.objects.due(now=now).filter(queue=queue)[:limit])
    sent = rows[: send_all(rows)]
    for sends in {row.sends for row in sent}:
        wait = min(RESEND_AFTER * 2 ** min(sends, 5), RESEND_AT_MOST_AFTER)
        due = Wakeup.objects.filter(pk__in=[row.pk for row in sent if row.sends == sends], wake_at__lte=now)
        due.update(wake_at=now + wait, sends=F("sends") + 1)
    return len(sent)
