"""What test_lane.py serves with granian: answers that are numbered, and name the thread that made them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import count
from threading import get_ident
from typing import Any

from console.wsgi import in_lane
from kernel.core.lane import lane

numbers = count()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """/at-once; /waits leaves the lane for a while, /stuck has nobody know that it waits, /unread leaves its body."""
    if environ["PATH_INFO"] == "/waits":
        lane.leave()
        time.sleep(0.3)
    elif environ["PATH_INFO"] == "/stuck":
        time.sleep(2)
    elif environ["PATH_INFO"] == "/read":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    elif environ["PATH_INFO"] == "/keeps":
        _keep_for(seconds=2)
    body = f"{next(numbers)} {get_ident()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return in_lane([body], environ)


def _keep_for(*, seconds: float) -> None:
    if not lane.keep():
        lane.rest()
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        lane.keep()
        time.sleep(0.001)
