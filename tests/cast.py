"""The fixed cast: who acts in the tests, and where. Plain values; an app's conftest makes rows of them.

ada works in domain north, bo sees north and may change nothing, cy works in domain south and must see nothing of north.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from kernel.core.actor import Actor, ActorKind
from kernel.core.ids import DomainId

NORTH = DomainId(UUID("01930000-0000-7000-8000-00000000000a"))
SOUTH = DomainId(UUID("01930000-0000-7000-8000-00000000000b"))

ADA = Actor(kind=ActorKind.OPERATOR, id="01930000-0000-7000-8000-0000000000a1", label="ada", address="192.0.2.10")
BO = Actor(kind=ActorKind.OPERATOR, id="01930000-0000-7000-8000-0000000000a2", label="bo", address="192.0.2.11")
CY = Actor(kind=ActorKind.OPERATOR, id="01930000-0000-7000-8000-0000000000a3", label="cy", address="198.51.100.12")

NOW = datetime(2027, 3, 1, 12, 0, 0, tzinfo=UTC)
