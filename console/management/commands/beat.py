"""`manage.py beat`: asks for what happens at intervals. A second one does no harm."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from console.celery import app


class Command(BaseCommand):
    """Runs Celery's scheduler."""

    help = "Asks workers for what happens at intervals."

    def handle(self, *_args: Any, **_options: Any) -> None:
        app.Beat(quiet=True).run()
