"""Celery: a task is only a wake-up for a row (kernel/services), so a lost message costs a second, not a change."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from console import folder_queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # `web` makes them; they load every page and a third of the memory

folder_queue.register()
app = Celery("gatehouse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**_facts: Any) -> None:
    """Having a receiver is what tells Celery that logging is set up already (Django's LOGGING)."""
