"""How a Celery message becomes one run of a wake-up, and the sweep that makes messages dispensable."""

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


@shared_task(name="kernel.sweep", ignore_result=True, expires=5)
def sweep() -> None:
    """Sends the due wake-ups again. Beat asks for it each second."""
    services.sweep(now=utc_now())
