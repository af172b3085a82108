"""Answers to questions about policy, with what each broker makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acl.core.analysis_reach import Flow
from acl.core.explanation import Explanation
from acl.core.values import BoundRule
from brokers.core.ports import Deviation, DeviationKind
from devices.core.values import Device, DeviceId
from devices.core.windows import Window

UNMANAGED = "unmanaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerJudgement:
    """What a broker does with a request: `allow`, `deny`, or `unmanaged` before a plan was applied to it."""

    name: str
    enforced_as: str
    deviation_kind: DeviationKind | None = None
    deviation_why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedBinding:
    """A role that reaches the device, though not now: its window is still to begin, or has ended."""

    role: str
    via: str
    target: str
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceExplanation:
    """Why a device may or may not, and what the brokers of its domain make of that.

    `not_now` are bindings whose rules were not considered. `rollout` is a sentence on the change that comes in waves,
    if one does: where waves are of brokers, the explanation is by the policy before until the last has come.
    """

    device: Device
    explanation: Explanation
    reason: str
    brokers: tuple[BrokerJudgement, ...]
    not_now: tuple[ClosedBinding, ...] = ()
    rollout: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoCan:
    """Devices and applications that may: a sample, how many there are, and the rules that let them.

    The sample is by auth id, applications first; `applications` are those in it.
    `examined` of them could be judged one by one only, and are counted as they were judged; `undecided` more were not
    looked at, since they are too many. With `more_grants` there are rules that let them beyond those listed.
    `rollouts` are sentences on changes that come in waves: the answer is by the policy before them.
    """

    sample: tuple[DeviceId, ...]
    count: int
    grants: tuple[BoundRule, ...]
    applications: frozenset[DeviceId] = frozenset()
    examined: int = 0
    undecided: int = 0
    more_grants: bool = False
    rollouts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachLine:
    """A flow of topics, and how many devices speak and hear; None where that was not counted."""

    flow: Flow
    publishers: int | None = None
    subscribers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Who makes whom hear what. `bounded` says that there is more."""

    lines: tuple[ReachLine, ...]
    bounded: bool = False


def deviation_at_work(
    deviations: Sequence[Deviation], explanation: Explanation, *, wanted: bool, enforced: bool
) -> tuple[DeviationKind | None, str]:
    """Why a broker answers otherwise than the policy, or in another manner; (None, "") if it does neither."""
    met = {considered.rule.rule.id for considered in explanation.considered if considered.filter is not None}
    concerned = [deviation for deviation in deviations if deviation.rule.rule.id in met]
    if wanted == enforced:
        decided = explanation.verdict.rule.rule.id if explanation.verdict.rule else None
        signalling = [d for d in concerned if d.rule.rule.id == decided and d.kind is DeviationKind.SIGNALLING]
        return (signalling[0].kind, signalling[0].why) if signalling else (None, "")
    kind = DeviationKind.WIDER if enforced else DeviationKind.NARROWER
    fitting = [d for d in concerned if d.kind in (kind, DeviationKind.SIGNALLING)]
    if fitting:
        return fitting[0].kind, fitting[0].why
    return kind, "The broker judges by other means than the policy engine; report this as a fault of Gatehouse."
