"""A folder directly below GATEHOUSE_HOME/brokers/ that a broker reads: files that are each replaced as a whole."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

FOR_ALL = 0o644
FOR_THE_GROUP = 0o640
FOR_US = 0o600


class UnsafeFolder(Conflict):
    """The shared folder is not a plain folder where it should be."""

    code = "unsafe-folder"


class SharedFolder:
    """The shared folder of one broker. Raises UnsafeFolder if it is missing, a link, or leads elsewhere."""

    mode = FOR_ALL
    """Of the files: the broker is another user."""

    def __init__(self, *, root: Path, name: str) -> None:
        path = root / name
        if path.parent != root or path.is_symlink() or not path.is_dir():
            raise UnsafeFolder(f"There has to be a plain folder {name!r} in GATEHOUSE_HOME/brokers: make it.")
        self._path = path

    def text(self, name: str) -> str:
        """What stands in a file; empty if there is none. Octets that are no text become marks.

        Raises BrokerUnreachable.
        """
        target = self._path / name
        try:
            plain = target.is_file() and not target.is_symlink()
            return target.read_text(encoding="utf-8", errors="replace") if plain else ""
        except OSError as error:
            raise BrokerUnreachable(f"{name} in the shared folder can not be read: {error.strerror}.") from error

    def told(self, name: str, written: str) -> None:
        """Notes that the broker was told to read that writing of the file."""
        self.replace(f"{name}.told", written)

    def is_told(self, name: str) -> bool:
        """Whether the broker was told to read the file as it is; it also reads it when it starts."""
        return self.text(f"{name}.told") == self.written(name)

    def written(self, name: str) -> str:
        """Which writing of the file it is that there is; empty without one."""
        try:
            found = (self._path / name).stat()
        except OSError:
            return ""
        return f"{found.st_ino} {found.st_mtime_ns}"

    def replace(self, name: str, text: str) -> None:
        """Writes a file in place of the old one, by rename, so that no reader ever sees a part."""
        new = self._path / f"{name}.new"
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, self.mode)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                if self.mode == FOR_THE_GROUP:
                    with suppress(PermissionError):  # we are not in it: then it stays our own
                        os.fchown(stream.fileno(), -1, self._path.stat().st_gid)
                os.fchmod(stream.fileno(), self.mode)
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self._path / name)
        except OSError as error:
            raise BrokerUnreachable(f"{name} in the shared folder can not be written: {error.strerror}.") from error


class GroupFolder(SharedFolder):
    """One whose files nobody but us and the folder's group may read, since they hold secrets."""

    mode = FOR_THE_GROUP


class DatedFolder(GroupFolder):
    """One whose reader takes a file for new that is younger than the end of its last reading, and so misses a writing.

    What was written while it read is older than that end: dated anew once it has read, the file is new again.
    """

    def note_written(self, name: str) -> None:
        """Notes that the file, as it is, was written by us and not dated anew since."""
        self.told(name, self.written(name))

    def date_anew(self, name: str, *, after: float) -> None:
        """Dates the file anew if we wrote it so many seconds ago or more, and that was not done since."""
        path = self._path / name
        with suppress(OSError):
            if self.is_told(name) and time.time() - path.lstat().st_mtime >= after:
                os.utime(path, follow_symlinks=False)
