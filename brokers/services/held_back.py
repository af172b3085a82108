"""What waits while nobody has accepted that a broker would allow more than the policy: those rules, and no others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from acl.core.values import BoundRule, RuleId
from brokers.core.plans import require_acceptance, unaccepted, unaccepted_allows
from brokers.core.ports import BrokerAdapter, DesiredState, Deviation, RenderSubject


def without_unaccepted(
    adapter: BrokerAdapter, desired: DesiredState, deviations: Collection[Deviation], accepted: Collection[str]
) -> DesiredState:
    """The same without the allows by which the broker would allow more than the policy and nobody has accepted it.

    `deviations` are those of `desired`. What takes something away is in it. Raises DeviationNotAccepted if it is not
    allows that do it. A broker that asks at each CONNECT is answered likewise (admission.py).
    """
    while unaccepted(deviations, accepted):
        kept = _without(desired.subjects, unaccepted_allows(deviations, accepted))
        if kept == desired.subjects:
            require_acceptance(deviations, accepted)
        desired = replace(desired, subjects=kept)
        deviations = adapter.render(desired).deviations
    return desired


def _without(subjects: Collection[RenderSubject], out: Collection[RuleId]) -> tuple[RenderSubject, ...]:
    """Policies that were one tuple are one afterwards: compilers know them by that."""
    known: dict[int, tuple[BoundRule, ...]] = {}
    found = []
    for subject in subjects:
        policy = known.get(id(subject.policy))
        if policy is None:
            policy = subject.policy
            if any(bound.rule.id in out for bound in policy):
                policy = tuple(bound for bound in policy if bound.rule.id not in out)
            known[id(subject.policy)] = policy
        found.append(subject if policy is subject.policy else replace(subject, policy=policy))
    return tuple(found)
