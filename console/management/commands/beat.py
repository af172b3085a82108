"""`manage.py beat`: asks for what happens at intervals. A second one does no harm."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand

from console.celery import app


class Command(BaseCommand):
    """Runs Celery's scheduler."""

    requires_system_checks: list[str] = []
    help = "Asks workers for what happens at intervals."

    def handle(self, *_args: Any, **_options: Any) -> None:
        logging.getLogger("celery.beat").setLevel(logging.WARNING)  # a line each second
        app.Beat(quiet=True).run()
