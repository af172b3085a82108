"""What roles ask of those above them."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from kernel.core.ids import DomainId


class PolicyGate(Protocol):
    """Lets one writer after another into the policy of a domain."""

    def enter(self, domain: DomainId, *, change: UUID | None) -> None:
        """Waits until nobody else writes the domain's policy, and keeps others out until the transaction ends.

        Call it first in the transaction. `change` is the approved change that the write is a part of; raises Denied
        without one where the domain wants its policy approved.
        """
        ...
