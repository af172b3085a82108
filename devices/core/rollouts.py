"""A change that comes in waves: who is in which wave, and what stops it.

It must not know what a broker is: one is an id here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

from devices.core.policy_changes import PolicyChangeId
from devices.core.values import DeviceId
from kernel.core.errors import FieldError, Invalid
from kernel.core.ids import DomainId

RolloutId = NewType("RolloutId", UUID)

MOST_WAVES = 50
MOST_NAMES = 1_000
MOST_SOAK = timedelta(days=30)


class Split(StrEnum):
    """What waves are made of."""

    BROKER = "broker"
    GROUP = "group"
    PERCENTAGE = "percentage"


class RolloutState(StrEnum):
    """The life of a rollout: running ⇄ paused → done or rolled-back."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    ROLLED_BACK = "rolled-back"


UNDER_WAY = frozenset({RolloutState.RUNNING, RolloutState.PAUSED})


class Reaction(StrEnum):
    """What a rollout does by itself."""

    PAUSE = "pause"
    ROLL_BACK = "roll-back"
    GO_ON = "go-on"


class BadWaves(Invalid):
    """These can not be the waves of a rollout."""

    code = "rollout-waves"


class BadGate(Invalid):
    """This can not be what stops a rollout."""

    code = "rollout-gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waves:
    """All waves but the last, in their order; the last is everybody else.

    `parts` are names of groups, ids of brokers, or one percentage of the fleet so far.
    """

    split: Split
    parts: tuple[tuple[str, ...], ...]

    @property
    def last(self) -> int:
        """The number of the last wave; they count from 0."""
        return len(self.parts)

    def wave_of(self, *, device: DeviceId, groups: Collection[str] = (), broker: UUID | None = None) -> int:
        """The wave of the principal on that broker. Where waves are of brokers and none is named, it is the last."""
        if self.split is Split.PERCENTAGE:
            found = percentile(device)
            return next((wave for wave, [part] in enumerate(self.parts) if found < int(part)), self.last)
        names = {str(broker)} if self.split is Split.BROKER else set(groups)
        return next((wave for wave, part in enumerate(self.parts) if not names.isdisjoint(part)), self.last)

    def wave_of_broker(self, broker: UUID) -> int:
        """The first wave that concerns the broker."""
        if self.split is not Split.BROKER:
            return 0
        return next((wave for wave, part in enumerate(self.parts) if str(broker) in part), self.last)


def percentile(device: DeviceId) -> int:
    """0 to 99, the same for a device always."""
    return int.from_bytes(hashlib.sha256(device.bytes).digest()[:8]) % 100


def waves_of(split: Split, parts: Sequence[Sequence[str]]) -> Waves:
    """The waves. Raises BadWaves unless each names something, nothing is named twice, and percentages rise."""
    if not 1 <= len(parts) <= MOST_WAVES:
        raise bad_waves(f"Name 1 to {MOST_WAVES} waves; everybody else comes in one more, the last.")
    if not all(parts):
        raise bad_waves("A wave has to name somebody: leave empty waves out.")
    named = [name for part in parts for name in part]
    if len(named) > MOST_NAMES:
        raise bad_waves(f"The waves name more than {MOST_NAMES:,} groups or brokers: use fewer.")
    if len(set(named)) < len(named):
        raise bad_waves("The waves name something twice: everybody comes in one wave.")
    if split is Split.PERCENTAGE:
        _check_percentages(parts)
    return Waves(split=split, parts=tuple(map(tuple, parts)))


def _check_percentages(parts: Sequence[Sequence[str]]) -> None:
    numbers = [
        int(name) if name.isascii() and name.isdigit() and len(name) < 3 else 0 for part in parts for name in part
    ]
    if len(numbers) != len(parts) or not all(1 <= number <= 99 for number in numbers):
        raise bad_waves("A percentage is a number from 1 to 99; the last wave brings the rest.")
    if numbers != sorted(numbers):
        raise bad_waves("Percentages are of the whole fleet, and rise from wave to wave: such as 1, 10, 50.")


def bad_waves(detail: str) -> BadWaves:
    """The error with its place in the document."""
    return BadWaves(detail, errors=(FieldError(pointer="/waves", code=BadWaves.code, detail=detail),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What has to hold before the next wave comes: watched for `soak` once all brokers obey.

    `refused` and `lost` are percentages of the devices of the wave that were seen: no more may be in trouble.
    """

    soak: timedelta = timedelta(minutes=10)
    refused: int = 2
    lost: int = 5
    on_trouble: Reaction = Reaction.PAUSE
    on_unknown: Reaction = Reaction.PAUSE

    def __post_init__(self) -> None:
        if not timedelta() <= self.soak <= MOST_SOAK:
            raise _bad_gate("soak_seconds", "A wave is watched for 0 seconds to 30 days.")
        for name, share in (("refused", self.refused), ("lost", self.lost)):
            if not 0 <= share <= 100:
                raise _bad_gate(f"{name}_percent", "A share is 0 to 100 percent.")
        if self.on_trouble is Reaction.GO_ON:
            raise _bad_gate("on_trouble", "With trouble a rollout pauses or rolls back; allow 100 percent to go on.")

    def as_kept(self) -> dict[str, Any]:
        """The gate as JSON."""
        return {
            "soak_seconds": int(self.soak.total_seconds()),
            "refused_percent": self.refused,
            "lost_percent": self.lost,
            "on_trouble": self.on_trouble.value,
            "on_unknown": self.on_unknown.value,
        }

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Gate:
        """The gate that `as_kept` says."""
        return cls(
            soak=timedelta(seconds=kept["soak_seconds"]),
            refused=kept["refused_percent"],
            lost=kept["lost_percent"],
            on_trouble=Reaction(kept["on_trouble"]),
            on_unknown=Reaction(kept["on_unknown"]),
        )


def _bad_gate(name: str, detail: str) -> BadGate:
    return BadGate(detail, errors=(FieldError(pointer=f"/{name}", code=BadGate.code, detail=detail),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Devices of a wave that were seen, and how many of them are in trouble; `unknown` are sentences."""

    seen: int = 0
    refused: int = 0
    lost: int = 0
    unknown: tuple[str, ...] = ()

    def as_kept(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {"seen": self.seen, "refused": self.refused, "lost": self.lost, "unknown": list(self.unknown)}

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Measured:
        """The counts that `as_kept` says."""
        return cls(**{**kept, "unknown": tuple(kept["unknown"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRecord:
    """A wave that has come, and what was seen of it. `obeyed_at` is None while a broker is waited for, or was not."""

    entered_at: datetime
    obeyed_at: datetime | None = None
    measured: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout. The waves up to `wave` have come; `seq` is the journal entry that every broker has to reach for it.

    `records` are of the waves that have come, the present one last. `heard` says for how many minutes brokers had been
    heard when the present wave was obeyed, by id. `version` rises with each thing that is done to it; `note` says why
    it stands as it does.
    """

    id: RolloutId
    domain: DomainId
    domain_slug: str
    change: PolicyChangeId
    number: int
    title: str
    waves: Waves
    gate: Gate
    state: RolloutState
    version: int
    wave: int
    seq: int
    records: tuple[WaveRecord, ...]
    heard: Mapping[str, int]
    note: str
    started_at: datetime
    ended_at: datetime | None

    def has_come_to(self, *, device: DeviceId, groups: Collection[str], broker: UUID | None) -> bool:
        """Whether the principal has the new policy on that broker."""
        return self.wave >= self.waves.wave_of(device=device, groups=groups, broker=broker)

    @property
    def sentence(self) -> str:
        """That it is under way, for whoever asks what the policy is."""
        return f"Change {self.number} is being rolled out: wave {self.wave + 1} of {self.waves.last + 1} has come."

    @property
    def is_in_last_wave(self) -> bool:
        """Whether everybody has the new policy."""
        return self.wave == self.waves.last
