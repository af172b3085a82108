"""`manage.py worker`: carries out what journal entries ask for."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.celery import app
from console.starting import refuse_unknown_master_key
from kernel.core.journal import Queue


class Command(BaseCommand):
    """Runs Celery with threads: bodies wait for brokers and databases, they do not compute."""

    requires_system_checks: list[str] = []  # `web` makes them; here they cost half of the start
    help = "Carries out what journal entries ask for, from the named queues."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--queues", default=",".join(Queue), help="names by commas (default: all)")
        parser.add_argument("--concurrency", type=int, default=4, help="how many at once (default 4)")

    def handle(self, *_args: Any, queues: str, concurrency: int, **_options: Any) -> None:
        names = [name.strip() for name in queues.split(",") if name.strip()]
        if unknown := sorted(set(names) - set(Queue)):
            raise CommandError(f"There is no queue {unknown[0]!r}: the queues are {', '.join(Queue)}.")
        if not names or concurrency < 1:
            raise CommandError("Name at least one queue, and let at least one wake-up run at once.")
        refuse_unknown_master_key()
        warnings.filterwarnings("ignore", r"\s*You're running the worker with superuser privileges")
        logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)  # a line for each message
        worker = app.Worker(
            pool="threads",
            concurrency=concurrency,
            queues=names,
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
        sys.exit(worker.exitcode or 0)
