"""Who acts: every write names its actor, and the journal keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """The sorts of actor there are."""

    OPERATOR = "operator"
    APPLICATION = "application"
    DEVICE = "device"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. `id` is stable, `label` is for people, `address` the peer's IP address or empty."""

    kind: ActorKind
    id: str
    label: str
    address: str = ""


SYSTEM = Actor(kind=ActorKind.SYSTEM, id="gatehouse", label="Gatehouse")
