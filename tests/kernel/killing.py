"""What the processes of test_killed_worker.py run: a wake-up that leaves a mark in a file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from django.db import connection, transaction

from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from kernel.core.journal import Break, Entry, Queue, Step, Subject
from kernel.queries import verify_journal
from kernel.services import Wake, record
from kernel.tasks import wakeup_task

LANES = 8


class MarkRouter:
    """Each entry asks for one mark; entries of one lane one after another."""

    def steps_for(self, entry: Entry) -> Sequence[Step]:
        number = int(entry.subject.id)
        return [
            Step(task="tests.mark", target=entry.subject.id, queue=Queue.REVOCATION, order_key=f"l{number % LANES}")
        ]


router = MarkRouter()


@wakeup_task("tests.mark", lease=timedelta(seconds=2))
def mark(wake: Wake) -> str:
    """Works a little and appends the target as a line."""
    time.sleep(0.05)
    with Path(os.environ["GATEHOUSE_TEST_MARKS"]).open("a", buffering=1) as marks:
        marks.write(f"{wake.target}\n")
    return "marked"


def record_all(count: int) -> None:
    """Records `count` entries from several threads at once; each thread has a lane of its own."""
    lanes = [range(lane, count, LANES) for lane in range(LANES)]
    threads = [threading.Thread(target=_record, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _record(numbers: Sequence[int]) -> None:
    for number in numbers:
        with transaction.atomic():
            subject = Subject(kind="tests.mark", id=str(number))
            record(action="tests.marked", subject=subject, actor=SYSTEM, now=utc_now())
    connection.close()


def record_and_verify(count: int) -> tuple[int, int, int]:
    """How often the journal was checked while it was written, the breaks that were found, and its last number."""
    writer = threading.Thread(target=record_all, args=(count,))
    writer.start()
    checks, breaks = 0, 0
    while writer.is_alive():
        breaks += sum(isinstance(found, Break) for found in verify_journal())
        checks += 1
    writer.join()
    *found, last = verify_journal()
    assert isinstance(last, Entry)
    return checks, breaks + len(found), last.seq
