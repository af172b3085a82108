"""Reading outside of Django's requests, whose threads keep a connection that may have broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import Error as DatabaseFault
from django.db import close_old_connections, connection

from kernel.core.lane import lane

Read = TypeVar("Read")


def reconnecting(read: Callable[[], Read]) -> Read:
    """What `read` returns, at the second try if the first found that this thread's connection has broken meanwhile."""
    if connection.in_atomic_block:  # somebody else's, which it is not for us to close
        return read()
    lane.leave()
    close_old_connections()
    try:
        return read()
    except DatabaseFault:
        close_old_connections()
        return read()
