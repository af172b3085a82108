"""What a Mosquitto makes of the signal to read its files again.

One that can not load its CRLs goes on and lets revoked certificates in; only its log says so.
"""

from __future__ import annotations

from collections.abc import Callable

from brokers.adapters.mosquitto_control import control
from brokers.core.mosquitto_connection import MosquittoConnection
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_BEGINS = "Reloading config."
_FAILS = "Unable to load certificate revocation file"
_SECONDS = 3.0


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
    if lines is None:
        return f"{said} Whether it could stands in its log, which it does not tell (log_dest topic, log_type all)."
    if any(_FAILS in line for line in lines):
        raise CrlNotLoaded(
            "Mosquitto can not load its CRL file, and lets revoked certificates in until it can: see its log, and let "
            "the user that it runs as read the file that crlfile names."
        )
    return said
