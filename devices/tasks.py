"""What the fleet does by itself as time goes by."""

from __future__ import annotations

from celery import shared_task

from devices import services
from kernel.core.clock import utc_now


@shared_task(name="devices.tell_windows", ignore_result=True, expires=5)
def tell_windows() -> None:
    """Tells of bindings whose window began or ended, and of passwords that did; brokers follow. Beat asks each 2 s."""
    now = utc_now()
    services.tell_windows(now=now)
    services.tell_ended_passwords(now=now)
