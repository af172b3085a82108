"""What the fleet does by itself as time goes by."""

from __future__ import annotations

from celery import shared_task

from devices import services
from kernel.core.clock import utc_now


@shared_task(name="devices.tell_windows", ignore_result=True, expires=5)
def tell_windows() -> None:
    """Tells of bindings whose window began or ended, and the brokers follow. Beat asks for it every 2 s."""
    services.tell_windows(now=utc_now())
