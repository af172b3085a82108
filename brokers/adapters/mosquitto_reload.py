"""What a Mosquitto makes of the signal to read its files again.

One that can not load its CRLs goes on and lets revoked certificates in; only its log says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from brokers.adapters.mosquitto_control import control
from brokers.adapters.mosquitto_files import MosquittoFolder
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_BEGINS = "Reloading config."
_FAILS = "Error: Unable to load certificate revocation file"
_SECONDS = 3.0
_POLL_SECONDS = 0.02
_AGAIN_SECONDS = 0.25
_UNSEEN = "Whether it could stands in its log, which Gatehouse does not see (docs/howto/mosquitto.md)."


class CrlNotLoaded(Conflict):
    """Mosquitto could not load the CRLs, and lets revoked certificates in."""

    code = "crl-not-loaded"


def seen_reading(connection: MosquittoConnection, tell: Callable[[], str]) -> str:
    """What `tell`, which has Mosquitto read its files, says; and if so, that its log does not tell what came of it.

    Raises BrokerUnreachable, and CrlNotLoaded.
    """
    try:
        with control(connection, hears_log=True) as broker:
            said = tell()
            lines = broker.logged_since(_BEGINS, seconds=_SECONDS)
    except BrokerUnreachable:
        tell()  # the files are there all the same
        raise
    return f"{said} {_UNSEEN}" if lines is None else _judged(said, lines)


def seen_in_file(folder: MosquittoFolder, tell: Callable[[], str]) -> str:
    """The same by the log in the folder: once Mosquitto begins to read its files anew, it is done with the time before.

    Raises BrokerUnreachable, and CrlNotLoaded.
    """
    place = folder.log_end()
    said = tell()
    for times in (1, 2):
        if place < 0 or not _begun(folder, place, tell, times=times):
            return f"{said} {_UNSEEN}"
    return _judged(said, folder.logged_since(place))


def _begun(folder: MosquittoFolder, place: int, tell: Callable[[], str], *, times: int) -> bool:
    """Whether it begins so often in time. It is told again and again: while it reads, a signal is lost."""
    end = time.monotonic() + _SECONDS
    again = time.monotonic() + _AGAIN_SECONDS * (times == 1)
    while sum(_says(line, _BEGINS) for line in folder.logged_since(place)) < times:
        if time.monotonic() > end:
            return False
        if time.monotonic() >= again:
            tell()
            again = time.monotonic() + _AGAIN_SECONDS
        time.sleep(_POLL_SECONDS)
    return True


def _judged(said: str, lines: Iterable[str]) -> str:
    """What was said, unless Mosquitto logged the contrary."""
    if any(_says(line, _FAILS) for line in lines):
        raise CrlNotLoaded(
            "Mosquitto can not load its CRL file, and lets revoked certificates in until it can: see its log, and let "
            "the user that it runs as read the file that crlfile names."
        )
    return said


def _says(line: str, begin: str) -> bool:
    """Whether that is what Mosquitto logged, behind the time if there is one: what clients say comes later."""
    return re.match(rf"(?:\S+: )?{re.escape(begin)}", line) is not None
