"""The folder that Gatehouse shares with a Mosquitto on the same machine: files, and the signal to read them.

Only a plain folder directly below GATEHOUSE_HOME/brokers/ is ever written to, and only a process that is a Mosquitto
is ever signalled.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from brokers.core.crl_bundle import parse_bundle
from brokers.core.mosquitto_conf import CLIENT_CA_FILE, CRL_FILE, PID_FILE
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_PID = re.compile(r"[1-9][0-9]{0,9}")
_CATCHES_SIGHUP = re.compile(r"^SigCgt:\s*[0-9a-f]*[13579bdf]$", re.MULTILINE)  # the lowest bit is signal 1


class UnsafeFolder(Conflict):
    """The shared folder is not a plain folder where it should be."""

    code = "unsafe-folder"


class MosquittoFolder:
    """The shared folder of one broker. Raises UnsafeFolder if it is missing, a link, or leads elsewhere."""

    def __init__(self, *, root: Path, name: str) -> None:
        path = root / name
        if path.parent != root or path.is_symlink() or not path.is_dir():
            raise UnsafeFolder(f"There has to be a plain folder {name!r} in GATEHOUSE_HOME/brokers: make it.")
        self._path = path

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Writes the CRLs in place of the old ones and has the broker read them; in words, how. Raises UnfitCrl.

        A listener of Mosquitto 2.0 that has a `crlfile` reads its `cafile` with it at each SIGHUP: what is new there is
        believed, and what is gone is not. Without one it reads its `cafile` when it starts and never again.
        """
        parse_bundle(pem)
        more = ""
        if trust and (self._path / CLIENT_CA_FILE).exists() and not self._holds(CLIENT_CA_FILE, trust):
            self._replace(CLIENT_CA_FILE, trust)
            more = " The CA file is new, too."
        if self._holds(CRL_FILE, pem):
            self._signal()
            return "The CRL file was up to date; Mosquitto has read it again." + more
        self._replace(CRL_FILE, pem)
        self._signal()
        return "The CRL file is written, and Mosquitto has read it." + more

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

    def put(self, name: str, text: str) -> None:
        """Writes a file in place of the old one, and has the broker read its files."""
        self._replace(name, text)
        written = self._written(name)
        self._signal()
        self._replace(f"{name}.told", written)

    def is_told(self, name: str) -> bool:
        """Whether the broker was told to read the file as it is; it also reads it when it starts."""
        return self.text(f"{name}.told") == self._written(name)

    def _written(self, name: str) -> str:
        """Which writing of the file it is that there is; empty without one."""
        try:
            found = (self._path / name).stat()
        except OSError:
            return ""
        return f"{found.st_ino} {found.st_mtime_ns}"

    def _holds(self, name: str, pem: str) -> bool:
        return self.text(name) == pem

    def _replace(self, name: str, text: str) -> None:
        """By rename, so that no reader ever sees a part; world-readable, since the broker is another user."""
        new = self._path / f"{name}.new"
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                os.fchmod(stream.fileno(), 0o644)
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self._path / name)
        except OSError as error:
            raise BrokerUnreachable(f"{name} in the shared folder can not be written: {error.strerror}.") from error

    def _signal(self) -> None:
        pid = self._pid()
        try:
            os.kill(pid, signal.SIGHUP)
        except ProcessLookupError as error:
            raise BrokerUnreachable("Mosquitto is not running; it reads its files when it starts.") from error
        except PermissionError as error:
            raise BrokerUnreachable(
                "Gatehouse may not signal Mosquitto: run both as one user, or send it SIGHUP when its files change."
            ) from error

    def _pid(self) -> int:
        """Of the Mosquitto that wrote its pid file here. Raises BrokerUnreachable."""
        try:
            text = (self._path / PID_FILE).read_text().strip()
            status = Path(f"/proc/{text}/status").read_text() if _PID.fullmatch(text) else ""
        except (OSError, ValueError):
            status = ""
        if not status.startswith("Name:\tmosquitto\n"):
            raise BrokerUnreachable("Mosquitto is not running; it reads its files when it starts.")
        if not _CATCHES_SIGHUP.search(status):
            raise BrokerUnreachable("Mosquitto is starting: a signal would end it now. It follows soon.")
        return int(text)
