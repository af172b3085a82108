"""How far a rollout is: each wave, and each broker that is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from brokers import queries
from brokers.core.values import SyncState
from brokers.services.rollout_signs import brokers_of, obeys
from devices.core.rollouts import UNDER_WAY, Rollout, RolloutState, Split, WaveRecord

_GONE = "a broker that is gone"


class WaveState(StrEnum):
    """Where a wave stands; one that was taken back had come."""

    COME = "come"
    WAITING = "waiting"
    WATCHED = "watched"
    TO_COME = "to-come"
    TAKEN_BACK = "taken-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerProgress:
    """A broker of the present wave; `detail` says what it is waited for."""

    name: str
    obeys: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveProgress:
    """A wave. `number` counts from 1; `names` is empty for the last, which is everybody else."""

    number: int
    names: tuple[str, ...]
    state: WaveState
    record: WaveRecord | None
    watched_until: datetime | None
    brokers: tuple[BrokerProgress, ...]


def progress_of(rollout: Rollout) -> tuple[WaveProgress, ...]:
    """Every wave, in its order."""
    names = {str(broker.id): broker.name for broker in queries.list_brokers(domains=[rollout.domain])}
    return tuple(_wave(rollout, number, names) for number in range(rollout.waves.last + 1))


def _wave(rollout: Rollout, wave: int, names: Mapping[str, str]) -> WaveProgress:
    parts = rollout.waves.parts[wave] if wave < rollout.waves.last else ()
    by_broker = rollout.waves.split is Split.BROKER
    record = rollout.records[wave] if wave < len(rollout.records) else None
    present = wave == rollout.wave and rollout.state in UNDER_WAY
    since = record.obeyed_at if record else None
    return WaveProgress(
        number=wave + 1,
        names=tuple(names.get(part, _GONE) if by_broker else part for part in parts),
        state=_state(rollout, wave),
        record=record,
        watched_until=since + rollout.gate.soak if since and present else None,
        brokers=tuple(_brokers(rollout)) if present else (),
    )


def _state(rollout: Rollout, wave: int) -> WaveState:
    if wave > rollout.wave:
        return WaveState.TO_COME
    if rollout.state is RolloutState.ROLLED_BACK:
        return WaveState.TAKEN_BACK
    if wave < rollout.wave or rollout.state is RolloutState.DONE:
        return WaveState.COME
    return WaveState.WATCHED if rollout.records[-1].obeyed_at else WaveState.WAITING


def _brokers(rollout: Rollout) -> list[BrokerProgress]:
    return [
        BrokerProgress(
            name=broker.name,
            obeys=obeys(broker, rollout),
            detail="" if obeys(broker, rollout) else broker.detail or _words(broker.sync),
        )
        for broker in brokers_of(rollout, wave=rollout.wave)
    ]


def _words(sync: SyncState) -> str:
    return "It is not reached." if sync is SyncState.UNREACHABLE else "It has not followed yet."
