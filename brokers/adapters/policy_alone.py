"""What is said of a broker that takes policy from us and tells us nothing."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from brokers.core.values import BrokerEvent


class PolicyAlone:
    """The part of an adapter whose broker takes no CRLs from us, lists no connections reliably, and tells of none."""

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
