"""Reading on in the access logs that HiveMQ's nodes write, in a folder that they share with us.

A file is known by the folder that it lies in and its first line, since it is renamed when a day ends. How far it was
read is written down with what was read, so that nothing is taken twice and nothing left out, whatever ends when.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from brokers import models
from brokers.adapters.shared_folder import SharedFolder
from brokers.conf import files_root
from brokers.core.hivemq.connection import log_folder_of
from brokers.core.hivemq.log import read_line
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import BrokerEvent, BrokerId, BrokerLink, LogPlace
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
BACK = timedelta(days=3)
"""A file that was never read, and was written to last so long before what was read last, is left alone."""
DAY = timedelta(days=1)
"""For which a file is written; what says that it is older than the oldest of those is not believed."""
MOST_FILES = 1_000
AT_ONCE = 1_048_576
"""Octets of one file before it is another's turn. A line may be 64 KiB, which is the longest client id, and some."""
LONGEST_LINE = 8_192
"""Octets; what is longer is cut, and names nobody."""


def watch_log(link: BrokerLink, stop: Event) -> Iterator[BrokerEvent | None]:
    """What is written there and was not read before, until `stop` is set; nothing if the connection names no folder.

    Raises UnsafeFolder, and BrokerUnreachable if the folder can not be read.
    """
    name = log_folder_of(link.connection)
    if name is None:
        stop.wait()
        return
    SharedFolder(root=files_root(), name=name)  # or it is not safe
    log_folder = LogFolder(link.broker.id, files_root() / name)
    yield None
    while not stop.is_set():
        yield from log_folder.read_on()
        yield None
        stop.wait(LOOK_SECONDS)


class LogFolder:
    """The files `*.log` in a folder and in the folders directly in it, each as far as it was read."""

    def __init__(self, broker: BrokerId, folder: Path) -> None:
        rows = models.LogPlace.objects.filter(broker_id=broker).values_list("file", "offset", "at")
        self._known = {file: (offset, at) for file, offset, at in rows}
        latest = max((at for _, at in self._known.values()), default=utc_now())
        self._not_before = (latest - BACK).timestamp()
        self._earliest = latest - BACK - DAY
        self._folder = folder
        self._read_up: dict[tuple[int, int], tuple[int, int]] = {}
        self._said: set[str] = set()

    def read_on(self) -> Iterator[BrokerEvent]:
        """What was written since. A file that can not be read now is left for the next time."""
        try:
            paths = self._paths()
        except OSError as error:
            raise BrokerUnreachable(f"The folder of access logs can not be read: {error.strerror}.") from error
        for path in paths:
            try:
                with open(path, "rb", buffering=0, opener=_opened) as file:
                    yield from self._read_file(file.fileno(), path)
            except OSError as error:
                self._say(path, error.strerror or "it can not be read")

    def _paths(self) -> list[Path]:
        """The oldest first; of more than 1,000 the newest."""
        found = []
        for folder in (self._folder, *(Path(entry) for entry in _entries(self._folder, stat.S_ISDIR))):
            files = (entry for entry in _entries(folder, stat.S_ISREG) if entry.name.endswith(".log"))
            found += [(entry.stat(follow_symlinks=False).st_mtime, Path(entry)) for entry in files]
        return [path for _, path in sorted(found)[-MOST_FILES:]]

    def _read_file(self, descriptor: int, path: Path) -> Iterator[BrokerEvent]:
        found = os.fstat(descriptor)
        key, state = (found.st_dev, found.st_ino), (found.st_size, found.st_mtime_ns)
        if self._read_up.get(key) == state:
            return
        name = _name_of(descriptor, path)
        if not name or (name not in self._known and found.st_mtime < self._not_before):
            return
        offset, at = self._known.get(name, (0, self._earliest))
        octets = os.pread(descriptor, AT_ONCE, offset)
        *lines, half = octets.split(b"\n")
        for line in lines:
            offset += len(line) + 1
            event = self._read_line(line, at, path)
            if event is not None:
                at = event.at
                told = at if at > self._earliest else utc_now()  # a clock that was not set yet
                yield replace(event, at=told, place=LogPlace(file=name, offset=offset))
            self._known[name] = offset, at
        if len(octets) < AT_ONCE:
            self._read_up[key] = state
        elif len(half) == AT_ONCE:  # no line is as long
            self._known[name] = offset + AT_ONCE, at

    def _read_line(self, line: bytes, not_before: datetime, path: Path) -> BrokerEvent | None:
        text = line[:LONGEST_LINE].rstrip(b"\r").decode(errors="replace")
        event = read_line(text, not_before=not_before, now=utc_now(), is_cut=len(line) > LONGEST_LINE)
        if event is None:
            self._say(path, "it has lines that are none of an access log")
        return event

    def _say(self, path: Path, what: str) -> None:
        """Once of each file."""
        if path.name not in self._said:
            self._said.add(path.name)
            log.warning("the access log %s is left out, or a part of it: %s", path.name, what)


def _opened(path: str, flags: int) -> int:
    """Never a link, and never a wait for whoever writes into a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _entries(folder: Path, is_kind: Callable[[int], bool]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if is_kind(entry.stat(follow_symlinks=False).st_mode)]


def _name_of(descriptor: int, path: Path) -> str:
    """By what a file is known, whatever it is called now; empty while there is no whole line in it."""
    head = os.pread(descriptor, LONGEST_LINE, 0)
    first, end, _ = head.partition(b"\n")
    if not end and len(head) < LONGEST_LINE:
        return ""
    return hashlib.sha256(path.parent.name.encode() + b"/" + first).hexdigest()
