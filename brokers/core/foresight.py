"""What a change of policy would do, for people: to kinds of devices, and on each broker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from acl.core.analysis_diff import FilterChange
from acl.core.values import EVERY_QOS, Retain, Shared
from brokers.core.plans import PlannedDeviation
from brokers.core.ports import Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenFilter:
    """A topic-filter template that is gained or lost; `conditions` says in words when, empty for always."""

    action: str
    filter: str
    conditions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenCohort:
    """Devices that have the same roles before and the same after: what each of them gains and loses.

    `devices` are some of their auth ids; `bounded` says that there are more filters than are listed. `at` is the moment
    at which it comes to that, since a window of a binding begins or ends; None for as soon as the change is applied.
    """

    roles_before: tuple[str, ...]
    roles_after: tuple[str, ...]
    count: int
    devices: tuple[str, ...]
    gained: tuple[ForeseenFilter, ...]
    lost: tuple[ForeseenFilter, ...]
    bounded: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenBroker:
    """What a broker would make of it. `managed` is False before a plan was applied to it: it takes nothing then.

    `deviations` are those there would be, `fresh` the ids of those that there are not now, and `blocked` those of the
    wider ones that nobody has accepted: while there are any, the broker keeps what it has. `tells` is whether this kind
    of broker lets the effect be computed.
    """

    name: str
    managed: bool
    tells: bool
    deviations: tuple[PlannedDeviation, ...]
    fresh: frozenset[str]
    blocked: frozenset[str]
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What a change of policy would do to the `examined` of `concerned` devices, of whom `touched` gain or lose.

    `concerned` are all devices of a small domain, and those that the change could touch of a large one; they are
    counted up to 10,000. `touched` are the most at one moment. On brokers it is told for the present alone.
    """

    concerned: int
    examined: int
    touched: int
    cohorts: tuple[ForeseenCohort, ...]
    more_cohorts: int
    brokers: tuple[ForeseenBroker, ...]

    @property
    def is_sample(self) -> bool:
        """Whether there are devices that were not examined and may gain or lose something."""
        return self.examined < self.concerned


def foreseen_filter(change: FilterChange) -> ForeseenFilter:
    """The filter for people."""
    return ForeseenFilter(action=change.action.value, filter=change.filter, conditions=", ".join(_conditions(change)))


def _conditions(change: FilterChange) -> list[str]:
    said = []
    if change.without:
        said.append(f"but not {', '.join(change.without)}")
    said += [f"where {same.left} is {same.right}" for same in change.where]
    if change.lacking:
        said.append(f"only without a safe value for {', '.join(change.lacking)}")
    if change.qos != EVERY_QOS:
        said.append(f"QoS {', '.join(map(str, sorted(change.qos)))}")
    if change.retain is not Retain.ANY:
        said.append("retained only" if change.retain is Retain.ONLY else "not retained")
    if change.shared is Shared.NEVER:
        said.append("not shared")
    elif change.shared_group is not None:
        said.append(f"shared in {change.shared_group}")
    elif change.shared is Shared.ONLY:
        said.append("shared only")
    if change.other_than:
        said.append(f"not shared in {', '.join(change.other_than)}")
    return said
