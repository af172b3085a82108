"""The embedded queue: a kombu transport that keeps each message as a file in a folder for its queue.

kombu's own `filesystem` transport shows a file before it is written (a reader then fails for good), and hands it over
through /tmp. Here a file appears whole, by a rename, and belongs to whoever unlinks it. A message may still be lost
with the worker that took it: kernel/services sends it again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)

SCHEME = "gatehouse-folder"
_ENDING = ".msg"


class Channel(virtual.Channel):
    """Puts and takes messages. The option `folder` says where they are kept."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._listed: dict[str, deque[Path]] = {}

    def _folder(self, queue: str) -> Path:
        link: Any = self.connection
        folder = Path(link.client.transport_options["folder"]) / queue
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _put(self, queue: str, message: Any, **_options: Any) -> None:
        name = f"{time.time_ns():020}-{uuid4().hex}"
        hidden = self._folder(queue) / f".{name}"
        hidden.write_text(dumps(message), encoding="utf-8")
        hidden.rename(hidden.with_name(f"{name}{_ENDING}"))

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - the signature is kombu's
        listed = self._listed.get(queue)
        if not listed:
            listed = self._listed[queue] = deque(sorted(self._folder(queue).glob(f"*{_ENDING}")))
        while listed:
            path = listed.popleft()
            try:
                octets = path.read_bytes()
                path.unlink()
            except FileNotFoundError:  # another worker took it
                continue
            try:
                return loads(octets.decode())
            except ValueError:
                log.warning("%s holds no message and was thrown away", path)
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(1 for _ in self._folder(queue).glob(f"*{_ENDING}"))

    def _purge(self, queue: str) -> int:
        found = list(self._folder(queue).glob(f"*{_ENDING}"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


class Transport(virtual.Transport):
    """What kombu asks of a transport."""

    Channel = Channel
    implements = virtual.Transport.implements.extend(asynchronous=False, exchange_type=frozenset({"direct", "topic"}))
    default_port = 0
    driver_type = driver_name = SCHEME

    def driver_version(self) -> str:
        return "1"


def register() -> None:
    """Makes `gatehouse-folder://` known to kombu."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
