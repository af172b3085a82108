"""`manage.py beat`: asks for what happens at intervals. A second one does no harm."""

from __future__ import annotations

import logging
import time
from threading import Thread
from typing import Any

from django.core.management.base import BaseCommand

from console.celery import app
from kernel.core.clock import utc_now
from kernel.services import sweep
from kernel.services.reconnect import reconnecting

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class Command(BaseCommand):
    """Runs Celery's scheduler, and the sweep beside it: no worker whose threads all wait keeps that from its time."""

    requires_system_checks: list[str] = []
    help = "Asks workers for what happens at intervals, and again for what they did not do."

    def handle(self, *_args: Any, **_options: Any) -> None:
        logging.getLogger("celery.beat").setLevel(logging.WARNING)  # a line each second
        Thread(target=_sweep_for_ever, name="sweep", daemon=True).start()
        app.Beat(quiet=True).run()


def _sweep_for_ever() -> None:
    while True:
        try:
            reconnecting(lambda: sweep(now=utc_now()))
        except Exception as error:  # noqa: BLE001 - the next one comes in a second, and nothing else would sweep
            log.warning("the sweep failed, and is tried again: %s", type(error).__name__)
        time.sleep(SWEEP_SECONDS)
