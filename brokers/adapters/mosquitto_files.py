"""The folder that Gatehouse shares with a Mosquitto on the same machine: files, and the signal to read them.

Only a plain folder directly below GATEHOUSE_HOME/brokers/ is ever written to, and only a process that is a Mosquitto
is ever signalled.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from brokers.adapters.shared_folder import FOR_US, GroupFolder, SharedFolder
from brokers.core.crl_bundle import completed
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, CRL_FILE, LOG_FILE, PASSWORD_FILE, PID_FILE
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_MOST_LOGGED = 1_048_576
_PID = re.compile(r"[1-9][0-9]{0,9}")
_CATCHES_SIGHUP = re.compile(r"^SigCgt:\s*[0-9a-f]*[13579bdf]$", re.MULTILINE)  # the lowest bit is signal 1


class FileNotReadable(Conflict):
    """Mosquitto runs as a user that may not read a file."""

    code = "file-not-readable"


class MosquittoFolder(SharedFolder):
    """The shared folder of one Mosquitto."""

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Writes the CRLs in place of the old ones and has the broker read them; in words, how. Raises UnfitCrl.

        A listener of Mosquitto 2.0 that has a `crlfile` reads its `cafile` with it at each SIGHUP: what is new there is
        believed, and what is gone is not. Without one it reads its `cafile` when it starts and never again.
        """
        pem = completed(pem, kept=self.text(CRL_FILE), trust=trust)
        more = ""
        if trust and (self._path / CLIENT_CA_FILE).exists() and not self._holds(CLIENT_CA_FILE, trust):
            self.replace(CLIENT_CA_FILE, trust)
            more = " The CA file is new, too."
        if self._holds(CRL_FILE, pem):
            self._signal()
            return "The CRL file was up to date; Mosquitto has read it again." + more
        self.replace(CRL_FILE, pem)
        self._signal()
        return "The CRL file is written, and Mosquitto has read it." + more

    def put(self, name: str, text: str) -> None:
        """Writes a file in place of the old one, and has the broker read its files."""
        self.replace(name, text)
        written = self.written(name)
        self._signal()
        self.told(name, written)

    def log_end(self) -> int:
        """Where the log ends that Mosquitto writes in the folder; -1 if it writes none there."""
        log = self._path / LOG_FILE
        return log.stat().st_size if log.is_file() and not log.is_symlink() else -1

    def logged_since(self, place: int) -> list[str]:
        """The whole lines of the log from there on, of some; none if it is gone."""
        try:
            with (self._path / LOG_FILE).open("rb") as log:
                log.seek(place)
                return log.read(_MOST_LOGGED).decode("utf-8", "replace").split("\n")[:-1]
        except OSError:
            return []

    def _holds(self, name: str, pem: str) -> bool:
        return self.text(name) == pem

    def _signal(self) -> None:
        pid, _ = self._running()
        try:
            os.kill(pid, signal.SIGHUP)
        except ProcessLookupError as error:
            raise BrokerUnreachable("Mosquitto is not running; it reads its files when it starts.") from error
        except PermissionError as error:
            raise BrokerUnreachable(
                "Gatehouse may not signal Mosquitto: run both as one user, or send it SIGHUP when its files change."
            ) from error

    def _running(self) -> tuple[int, str]:
        """The Mosquitto that wrote its pid file here, and what /proc says of it. Raises BrokerUnreachable."""
        try:
            text = (self._path / PID_FILE).read_text().strip()
            status = Path(f"/proc/{text}/status").read_text() if _PID.fullmatch(text) else ""
        except (OSError, ValueError):
            status = ""
        if not status.startswith("Name:\tmosquitto\n"):
            raise BrokerUnreachable("Mosquitto is not running; it reads its files when it starts.")
        if not _CATCHES_SIGHUP.search(status):
            raise BrokerUnreachable("Mosquitto is starting: a signal would end it now. It follows soon.")
        return int(text), status


class FirstFileFolder(SharedFolder):
    """The same folder for a file that holds the control account's hash: whoever puts it in place gives it away."""

    mode = FOR_US


class PasswordFolder(GroupFolder, MosquittoFolder):
    """The same folder for the file of passwords' hashes, which nobody else on the machine reads."""

    def _signal(self) -> None:
        """Raises FileNotReadable too, once Mosquitto was told: nobody gets in by what it had read before."""
        super()._signal()
        if not may_read(self._running()[1], (self._path / PASSWORD_FILE).stat()):
            raise FileNotReadable(
                f"Mosquitto runs as a user that may not read {PASSWORD_FILE}, and refuses every password: give the "
                "shared folder the group that it runs with, and apply again."
            )


def may_read(status: str, file: os.stat_result) -> bool:
    """Whether whom /proc/<pid>/status is about may read a file that is for its owner and its group alone."""
    ids = {line.split()[0]: set(line.split()[1:]) for line in status.splitlines() if line.strip()}
    groups = ids["Gid:"] | ids["Groups:"]
    return not ids["Uid:"].isdisjoint({"0", str(file.st_uid)}) or str(file.st_gid) in groups
