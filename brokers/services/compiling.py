"""Compiling a domain's policy for a kind of broker that Gatehouse does not write to by itself."""

from __future__ import annotations

from brokers.core.ports import DeviationKind, Rendering
from brokers.core.targets import TARGETS
from brokers.services.desired import desired_state
from kernel.core.errors import Conflict, FieldError, NotFound
from kernel.core.ids import DomainId


class UnknownTarget(NotFound):
    """There is no such target."""

    code = "target-unknown"


class WiderThanPolicy(Conflict):
    """The broker would allow more than the policy does."""

    code = "wider-than-policy"


def compile_policy(*, domain: DomainId, target: str) -> Rendering:
    """What such a broker should hold of the domain's devices, as text, with every deviation that is none of more flow.

    Raises UnknownTarget, and WiderThanPolicy with each rule that the broker would make more of.
    """
    known = TARGETS.get(target)
    if known is None:
        raise UnknownTarget(f"There is no target {target[:64]}: use one of {', '.join(TARGETS)}.")
    rendering = known.render(desired_state(domain=domain).subjects)
    wider = [each for each in rendering.deviations if each.kind is DeviationKind.WIDER]
    if wider:
        faults = tuple(
            FieldError(
                pointer=f"/roles/{each.rule.role_name}",
                code=WiderThanPolicy.code,
                detail=f"{each.rule.rule.topic}: {each.why}",
            )
            for each in wider
        )
        raise WiderThanPolicy(
            f"{target} would allow more than {len(wider)} rule(s) do: change them. The first: {faults[0].detail}",
            errors=faults,
        )
    return rendering
