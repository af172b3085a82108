"""`manage.py listen`: answers brokers that ask at each CONNECT, and hears what happens at all of them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from brokers.listen.keeper import Keeper
from brokers.queries import unknown_connection_keys
from kernel.core.secrets import ADVICE

GRACE_SECONDS = 2.0


class Command(BaseCommand):
    """Stays until SIGTERM or SIGINT; it may be killed and started again at any time."""

    requires_system_checks: list[str] = []  # as of workers
    help = "Answers brokers that ask at each connection, and writes down who connects and who is refused."

    def handle(self, *_args: Any, **_options: Any) -> None:
        _refuse_unknown_keys()
        asyncio.run(_run())
        os._exit(0)  # threads that wait for a broker do not hold up the end


def _refuse_unknown_keys() -> None:
    """Raises CommandError if a connection can not be opened; a database that is away is no reason."""
    try:
        unknown = unknown_connection_keys()
    except DatabaseError:
        return
    finally:
        connections.close_all()
    if unknown:
        raise CommandError(f"Brokers' connections hang on the master key {', '.join(sorted(unknown))}: {ADVICE}")


async def _run() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        loop.call_later(GRACE_SECONDS, os._exit, 0)  # whatever still waits, for a database say, has nothing to lose

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await Keeper().run(stop)
