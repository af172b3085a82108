"""What the fleet asks of those above it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEndpoint:
    """Where a device connects. `takes_passwords`: it may do so with its password."""

    name: str
    host: str
    port: int
    transport: str
    protocol_versions: tuple[str, ...]
    takes_passwords: bool = False


class BrokerDirectory(Protocol):
    """Knows the brokers of a domain."""

    def endpoints(self, domain: DomainId) -> Sequence[BrokerEndpoint]:
        """Every listener that a device of the domain may use, in a stable order."""
        ...

    def is_reserved(self, domain: DomainId, name: str) -> bool:
        """Whether a device of that name would be taken for an account that controls a broker of the domain."""
        ...


class PolicyApprovers(Protocol):
    """Knows the operators."""

    def who_may_approve(self, domain: DomainId, *, among: Collection[str]) -> frozenset[str]:
        """Those of the operators of these ids who are let in, and may approve changes of the domain's policy, now."""
        ...
