"""What stops a rollout: the counts of a wave, and what is not known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from brokers.core.values import AdapterKind
from devices.core.rollouts import Gate, Measured, Reaction

_QUIET = timedelta(minutes=3)
_MINUTE = timedelta(minutes=1)


class Sign(StrEnum):
    """What a broker tells of a device."""

    REFUSALS = "refusals"
    DENIALS = "denials"
    ENDS = "lost connections"


TELLS: Mapping[AdapterKind, frozenset[Sign]] = {
    AdapterKind.MOSQUITTO_DYNSEC: frozenset({Sign.ENDS}),  # most refusals are without a name
    AdapterKind.NATS: frozenset({Sign.REFUSALS, Sign.ENDS}),
    AdapterKind.RABBITMQ: frozenset({Sign.REFUSALS}),
    AdapterKind.HTTP_DECISIONS: frozenset({Sign.REFUSALS, Sign.DENIALS}),
}
"""What is not here is not told, or by webhook, where nobody knows what was lost: docs/howto/access-log.md."""
KNOWS_SESSIONS = frozenset(
    {
        AdapterKind.MOSQUITTO_DYNSEC,
        AdapterKind.NATS,
        AdapterKind.NATS_FILES,
        AdapterKind.RABBITMQ,
        AdapterKind.EMQX,
    }
)
"""Where a session that is open is open: these list them, or tell each end to who listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A broker of the wave, and for how many minutes it was heard since the wave was obeyed.

    `told` says that a line of it was written down since, `undecided` that of somebody's login nobody knows whom it was
    about, since it could not be decided.
    """

    name: str
    kind: AdapterKind
    minutes: int
    told: bool
    undecided: bool = False


def is_in_trouble(now: int, before: int) -> bool:
    """Whether a device has more than twice the trouble that it had in the same time before."""
    return now > 2 * before


def unknown_of(brokers: Iterable[Hearing], *, seen: int, watched: timedelta) -> tuple[str, ...]:
    """What nobody can know of a wave that was watched for so long, as sentences.

    A broker that is heard is noted each minute, and written down a minute later.
    """
    found = [] if seen else ["No device of this wave was seen."]
    needed = max(1, watched // _MINUTE - 2)
    for broker in brokers:
        if broker.minutes < needed and not (broker.told and watched < _QUIET):
            found.append(f"{broker.name} was not heard all the time.")
        if broker.undecided:
            found.append(f"Gatehouse could not decide on a login at {broker.name}.")
        untold = set(Sign) - TELLS.get(broker.kind, frozenset())
        if untold:
            found.append(f"{broker.name} does not tell {' and '.join(sorted(untold))} of devices.")
    return tuple(found)


def trouble_of(gate: Gate, measured: Measured) -> str:
    """Why the rollout must not go on, as a sentence; empty if all is well as far as it is known."""
    for count, share, what in (
        (measured.refused, gate.refused, "are refused or denied what they were not before"),
        (measured.lost, gate.lost, "lose their connections more often than before"),
    ):
        if count * 100 > share * measured.seen:
            return f"{count} of {measured.seen} devices that were seen {what}; {share} % are allowed."
    return ""


def reaction_to(gate: Gate, measured: Measured) -> tuple[Reaction, str]:
    """What the rollout does once the wave was watched for long enough, and why."""
    if trouble := trouble_of(gate, measured):
        return gate.on_trouble, trouble
    if measured.unknown:
        return gate.on_unknown, "It is not known whether all is well. " + " ".join(measured.unknown)
    return Reaction.GO_ON, ""
