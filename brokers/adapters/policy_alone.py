"""What is said of a broker that takes policy from us and tells us nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from typing import ClassVar

from brokers.core.ports import Capabilities
from brokers.core.values import BrokerEvent


class PolicyAlone:
    """The part of an adapter whose broker takes no CRLs from us, lists no connections reliably, and tells of none.

    Nor does it close a session, unless `_closes_sessions` says so.
    """

    capabilities: ClassVar[Capabilities]

    def _closes_sessions(self) -> bool:
        return False

    def capabilities_here(self) -> Capabilities:
        """Those of its kind."""
        return replace(self.capabilities, closes_sessions=self._closes_sessions())

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Nothing."""
        del pem, trust
        return ""

    def present(self) -> None:
        """None."""

    def watch(self, stop: Event) -> Iterator[BrokerEvent | None]:
        """Nothing, until `stop` is set."""
        stop.wait()
        yield from ()
