"""What came of writing to a broker."""

from __future__ import annotations

from dataclasses import dataclass

from brokers.core.values import SyncState


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """How a broker was brought to the desired state: how many steps that took, and where it stands now."""

    sync: SyncState
    steps: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """How a device was shut out. `closed` counts its sessions that were open; None if nobody knows."""

    closed: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a broker differs from the policy now: sentences, at most some hundred of `count`."""

    sync: SyncState
    differences: tuple[str, ...]
    count: int
    detail: str
