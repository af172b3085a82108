"""Rollouts on brokers: begun with brokers' names, and watched from wave to wave."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from brokers import queries
from brokers.core.rollout_gate import reaction_to, trouble_of
from brokers.services.rollout_signs import brokers_of, measure_wave, minutes_heard, obeys
from devices.core.policy_changes import PolicyChange
from devices.core.rollouts import Gate, Reaction, Rollout, RolloutState, Split, bad_waves, waves_of
from devices.queries.rollouts import rollouts_under_way
from devices.services import rollouts as services
from kernel.core.actor import SYSTEM, Actor
from kernel.core.errors import DomainError

log = logging.getLogger(__name__)


def start_rollout(
    *,
    change: PolicyChange,
    split: Split,
    parts: Sequence[Sequence[str]],
    gate: Gate,
    expected_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Rollout:
    """The rollout; `parts` are names of brokers or groups, or percentages, wave by wave.

    Raises BadWaves, and what starting raises.
    """
    if split is Split.BROKER:
        ids = {broker.name: str(broker.id) for broker in queries.list_brokers(domains=[change.domain])}
        if missing := [name for part in parts for name in part if name not in ids]:
            raise bad_waves(
                f"There is no broker {missing[0][:64]!r} in this domain: list the brokers to see those there are."
            )
        parts = [[ids[name] for name in part] for part in parts]
    return services.start_rollout(
        change=change.id,
        waves=waves_of(split, parts),
        gate=gate,
        expected_version=expected_version,
        actor=actor,
        now=now,
    )


def watch_rollouts(*, now: datetime) -> None:
    """Looks at each rollout that is running, and does what is next. What was done to one meanwhile is respected.

    One that somebody else looks at right now is left to them.
    """
    for rollout in rollouts_under_way():
        if rollout.state is RolloutState.RUNNING:
            try:
                with services.watching(rollout=rollout.id, now=now) as ours:
                    if ours:
                        _watch(rollout, now=now)
            except DomainError as error:  # somebody was first, or the next look tries again
                log.info("rollout %s: %s", rollout.id, error.detail)
            except Exception:  # one that can not be watched stays where it is, and holds up no other
                log.exception("rollout %s can not be watched; trying again", rollout.id)


def _watch(rollout: Rollout, *, now: datetime) -> None:
    brokers = brokers_of(rollout, wave=rollout.wave)
    if not brokers and rollout.waves.split is Split.BROKER:
        _react(rollout, Reaction.GO_ON, "", now=now)
        return
    since = rollout.records[-1].obeyed_at
    if since is None and all(obeys(broker, rollout) for broker in brokers):
        services.note_obeyed(rollout=rollout.id, version=rollout.version, heard=minutes_heard(brokers), now=now)
        return
    measured = measure_wave(rollout, now=now)
    services.note_measured(rollout=rollout.id, version=rollout.version, measured=measured)
    if (since and now >= since + rollout.gate.soak) or trouble_of(rollout.gate, measured):
        reaction, why = reaction_to(rollout.gate, measured)
        _react(rollout, reaction, why, now=now)


def _react(rollout: Rollout, reaction: Reaction, why: str, *, now: datetime) -> None:
    act = _ACTS[reaction]
    try:
        act(rollout=rollout.id, expected_version=rollout.version, note=why, actor=SYSTEM, now=now)
    except services.RolloutMoved:
        raise
    except DomainError as error:
        services.pause_rollout(
            rollout=rollout.id, expected_version=rollout.version, note=error.detail, actor=SYSTEM, now=now
        )


_ACTS = {
    Reaction.GO_ON: services.advance_rollout,
    Reaction.PAUSE: services.pause_rollout,
    Reaction.ROLL_BACK: services.roll_back_rollout,
}
