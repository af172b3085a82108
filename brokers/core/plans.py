"""Plans as they are stored and shown, and what a plan may be applied with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from acl.core.documents import rule_document
from acl.core.evaluation import effective
from acl.core.values import Effect, RuleId
from brokers.core.ports import DesiredState, Deviation, DeviationKind, EffectLine, Rendering, RenderSubject
from brokers.core.values import BrokerId, PlanId
from kernel.core.errors import Conflict, FieldError

_SHOWN_PRINCIPALS = 20


class DeviationNotAccepted(Conflict):
    """The broker would allow more than the policy does, and nobody has accepted that."""

    code = "deviation-not-accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step of a plan, for people."""

    kind: str
    target: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDeviation:
    """A deviation of a plan, for people; `rule` is an id, `principals` at most 20 of `principal_count` auth ids."""

    id: str
    kind: str
    rule: str
    role: str
    topic: str
    principals: Sequence[str]
    principal_count: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What applying the policy to a broker would do.

    `gain` and `lose` are rows of device (auth id), action and filter; `effect_bounded` says that more are left out.
    `warnings` are sentences on what no step tells.
    """

    id: PlanId
    broker: BrokerId
    steps: tuple[PlannedStep, ...]
    deviations: tuple[PlannedDeviation, ...]
    gain: tuple[Mapping[str, str], ...]
    lose: tuple[Mapping[str, str], ...]
    effect_bounded: bool
    warnings: tuple[str, ...]
    in_sync: bool
    desired_digest: str
    created_at: datetime
    created_by: str


def rendering_digest(rendering: Rendering) -> str:
    """SHA-256 over what the broker should hold, passwords by their fingerprints, and over the deviations, 64 digits."""
    digest = hashlib.sha256(rendering.artifact.encode())
    for name, fingerprint in sorted(rendering.passwords.items()):
        digest.update(f"{name}:{fingerprint};".encode())
    for deviation in sorted(deviation.id for deviation in rendering.deviations):
        digest.update(deviation.encode())
    return digest.hexdigest()


def policy_digest(desired: DesiredState) -> str:
    """SHA-256 over who may do what, however a broker is told: roles, and what makes no difference, are not in it."""
    digest = hashlib.sha256()
    for line in sorted(map(_policy_line, desired.subjects)):
        digest.update(line.encode())
    return digest.hexdigest()


def _policy_line(subject: RenderSubject) -> str:
    who, password = subject.principal, subject.password
    rules = [
        json.dumps({**rule_document(each.bound.rule), "id": "", "topic": each.filter}, sort_keys=True)
        for each in effective(subject.policy, who)
    ]
    salt = password.salt.hex() if password else ""
    return json.dumps([who.auth_id, who.client_id, who.username, subject.state, salt, sorted(rules)]) + "\n"


def planned_deviation(deviation: Deviation) -> PlannedDeviation:
    """The deviation for people."""
    return PlannedDeviation(
        id=deviation.id,
        kind=deviation.kind.value,
        rule=str(deviation.rule.rule.id),
        role=deviation.rule.role_name,
        topic=deviation.rule.rule.topic,
        principals=list(deviation.principals[:_SHOWN_PRINCIPALS]),
        principal_count=deviation.principal_count or len(deviation.principals),
        why=deviation.why,
    )


def effect_rows(lines: Iterable[EffectLine]) -> list[dict[str, str]]:
    """The lines for people."""
    return [{"device": line.auth_id, "action": line.action, "filter": line.filter} for line in lines]


def unaccepted(deviations: Iterable[Deviation | PlannedDeviation], accepted: Collection[str]) -> list[str]:
    """The ids of the deviations that widen and are not among the accepted ones, sorted."""
    return sorted({d.id for d in deviations if d.kind == DeviationKind.WIDER and d.id not in accepted})


def unaccepted_allows(deviations: Iterable[Deviation], accepted: Collection[str]) -> frozenset[RuleId]:
    """The allow rules by which the broker would allow more than the policy, and nobody has accepted it."""
    rules = [d.rule.rule for d in deviations if d.kind is DeviationKind.WIDER and d.id not in accepted]
    return frozenset(rule.id for rule in rules if rule.effect is Effect.ALLOW)


def require_acceptance(deviations: Iterable[Deviation | PlannedDeviation], accepted: Collection[str]) -> None:
    """Nothing. Raises DeviationNotAccepted, which names the ids that are missing."""
    missing = unaccepted(deviations, accepted)
    if missing:
        pointers = tuple(
            FieldError(
                pointer="/accept_deviations", code=DeviationNotAccepted.code, detail=f"{name} is not in the list."
            )
            for name in missing
        )
        raise DeviationNotAccepted(
            f"The broker would allow more than the policy in {len(missing)} places: change the rules, "
            "or list the deviations in accept_deviations.",
            errors=pointers,
        )
