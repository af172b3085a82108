"""Compiling a domain's policy for a kind of broker that Gatehouse does not write to by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from brokers.core.ports import Deviation, DeviationKind, Rendering
from brokers.core.targets import TARGETS
from brokers.services.desired import desired_state
from devices import queries as devices
from devices.queries.rollouts import rollouts_under_way
from kernel.core.actor import Actor
from kernel.core.clock import to_rfc3339
from kernel.core.errors import Conflict, FieldError, NotFound
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


class UnknownTarget(NotFound):
    """There is no such target."""

    code = "target-unknown"


class WiderThanPolicy(Conflict):
    """The broker would allow more than the policy does, and nobody has accepted that."""

    code = "wider-than-policy"


def compile_policy(
    *, domain: DomainId, target: str, accept: Collection[str] = (), actor: Actor, now: datetime
) -> Rendering:
    """What such a broker should hold of the domain's devices, as text, with every deviation.

    `accept` are ids of deviations by which the broker may allow more; who accepts one stands in the journal. Raises
    UnknownTarget, and WiderThanPolicy with each deviation that is not among them.
    """
    known = TARGETS.get(target)
    if known is None:
        raise UnknownTarget(f"There is no target {target[:64]}: use one of {', '.join(TARGETS)}.")
    rendering = known.render(desired_state(domain=domain, broker=None, now=now).subjects)
    wider = [each for each in rendering.deviations if each.kind is DeviationKind.WIDER]
    if refused := [each for each in wider if each.id not in accept]:
        raise _wider(target, refused)
    if wider:
        _record_acceptance(domain, target, wider, actor=actor, now=now)
    for rollout in rollouts_under_way(domains=[domain]):
        warning = f"{rollout.sentence} Compile it anew when that is over."
        rendering = replace(rendering, warnings=(*rendering.warnings, warning))
    if ends := devices.next_boundary_in(domain=domain, now=now):
        warning = f"A binding begins or ends at {to_rfc3339(ends)}: this is the policy until then. Compile it anew."
        return replace(rendering, warnings=(*rendering.warnings, warning))
    return rendering


def _wider(target: str, refused: list[Deviation]) -> WiderThanPolicy:
    faults = tuple(
        FieldError(
            pointer=f"/roles/{each.rule.role_name}",
            code=WiderThanPolicy.code,
            detail=f"{each.id}: {each.rule.rule.topic}: {each.why}",
        )
        for each in refused
    )
    return WiderThanPolicy(
        f"{target} would allow more than the policy by {len(refused)} rule(s): change them, or accept each by its id. "
        f"The first is {faults[0].detail}",
        errors=faults,
    )


def _record_acceptance(
    domain: DomainId, target: str, wider: Iterable[Deviation], *, actor: Actor, now: datetime
) -> None:
    with transaction.atomic():
        record(
            action="brokers.policy.compiled",
            subject=Subject(kind="devices.domain", id=str(domain), label=devices.get_domain(id=domain).slug),
            actor=actor,
            now=now,
            domain=domain,
            after={"target": target, "accepted_deviations": sorted(each.id for each in wider)},
        )
