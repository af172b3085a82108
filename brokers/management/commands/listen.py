"""`manage.py listen`: answers brokers that ask at each CONNECT, and hears what happens at all of them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand

from brokers.listen.keeper import Keeper

GRACE_SECONDS = 2.0


class Command(BaseCommand):
    """Stays until SIGTERM or SIGINT; it may be killed and started again at any time."""

    help = "Answers brokers that ask at each connection, and writes down who connects and who is refused."

    def handle(self, *_args: Any, **_options: Any) -> None:
        asyncio.run(_run())
        os._exit(0)  # threads that wait for a broker do not hold up the end


async def _run() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        loop.call_later(GRACE_SECONDS, os._exit, 0)  # whatever still waits, for a database say, has nothing to lose

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await Keeper().run(stop)
