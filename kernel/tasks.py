"""How a Celery message becomes one run of a wake-up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery import shared_task

from kernel import services
from kernel.core.clock import utc_now

LEASE = timedelta(seconds=20)


def wakeup_task(name: str, *, lease: timedelta = LEASE) -> Callable[[services.Body], Any]:
    """Makes `body` the Celery task `name`. It is idempotent: it may run twice, also at once, if a lease runs out."""

    def decorate(body: services.Body) -> Any:
        @shared_task(name=name, acks_late=True, ignore_result=True)
        def run(*, wakeup: int) -> None:
            services.run_wakeup(wakeup, body=body, clock=utc_now, lease=lease)

        return run

    return decorate
