"""Ending sessions through an API apart from where policy is written: one may answer while the other does not."""

from __future__ import annotations

import time
from collections.abc import Callable

from brokers.adapters.json_api import RequestRefused
from brokers.core.ports import BrokerUnreachable, SessionNotClosed

_SECONDS = 1.0


class SessionEnds:
    """Ends sessions, one after another, by client id.

    An API that took a second to fail is not asked again: whoever is behind has waited long enough.
    """

    def __init__(self, end: Callable[[str], int]) -> None:
        self._end = end
        self._silent: SessionNotClosed | None = None

    def end(self, client_id: str) -> int:
        """What the API says of how many there were. Raises SessionNotClosed."""
        if self._silent is not None:
            raise self._silent
        began = time.monotonic()
        try:
            return self._end(client_id)
        except (BrokerUnreachable, RequestRefused) as error:
            fault = SessionNotClosed(f"A session could not be ended, and goes on: {error.detail}")
            if time.monotonic() - began > _SECONDS:
                self._silent = fault
            raise fault from error
