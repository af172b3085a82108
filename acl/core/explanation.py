"""Why a verdict is what it is: every rule, what it came to for this principal, and which one decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from acl.core.evaluation import EffectiveRule, PrincipalPolicy, effective, why_not
from acl.core.own_rules import holder_of, words_of
from acl.core.values import (
    Action,
    Allow,
    BoundRule,
    Deny,
    DenyReason,
    Effect,
    Principal,
    Publish,
    Request,
    Subscribe,
    Verdict,
)

__all__ = ["Considered", "EffectiveRule", "Explanation", "effective", "explain"]

_SUMMARIES = {
    DenyReason.NO_RULE: "No rule allows it.",
    DenyReason.DENY_RULE: "A deny rule forbids it, and a deny wins over every allow.",
    DenyReason.ONLY_TOGETHER: (
        "Several allow rules cover the filter only together; brokers judge one rule at a time. "
        "Subscribe to each part, or write one rule that covers all."
    ),
    DenyReason.MALFORMED: "The topic is malformed (MQTT 5 4.7), so no rule can allow it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One rule that was looked at. `filter` is None if void; `matches` says that its conditions hold as well."""

    rule: BoundRule
    filter: str | None
    matches: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A verdict, one sentence on it, and every rule of the policy in its order."""

    verdict: Verdict
    considered: tuple[Considered, ...]
    summary: str


def explain(policy: Sequence[BoundRule], principal: Principal, request: Request) -> Explanation:
    """Why `evaluate` says what it says."""
    ours = PrincipalPolicy.of(policy, principal)
    verdict = ours.evaluate(request)
    malformed = isinstance(verdict, Deny) and verdict.reason is DenyReason.MALFORMED
    allows, denies = ([], []) if malformed else ours.touching(request)
    considered = list(_untouched(ours, *_asked(request)))
    for number in (*allows, *denies):
        considered[number] = _touching(ours.rules[number], request, verdict)
    if isinstance(request, Subscribe) and _only_together(verdict):
        for number in ours.partly_covering(request):
            considered[number] = replace(considered[number], why="covers a part of the filter only")
    return Explanation(verdict=verdict, considered=tuple(considered), summary=_summary(verdict))


def _only_together(verdict: Verdict) -> bool:
    return isinstance(verdict, Deny) and verdict.reason is DenyReason.ONLY_TOGETHER


@lru_cache(maxsize=1024)
def _untouched(ours: PrincipalPolicy, action: Action, about: str) -> tuple[Considered, ...]:
    """Every rule as one that a request of this action, about a filter or a topic name, does not touch."""
    return tuple(
        Considered(rule=rule.bound, filter=rule.filter, matches=False, why=_why_untouched(rule, action, about))
        for rule in ours.rules
    )


def _summary(verdict: Verdict) -> str:
    if isinstance(verdict, Allow):
        name = verdict.rule.role_name
        whose = f"the role {name}" if holder_of(name) is None else f"the {words_of(name)}"
        return f"A rule of {whose} allows it, and no rule forbids it."
    return _SUMMARIES[verdict.reason]


def _touching(rule: EffectiveRule, request: Request, verdict: Verdict) -> Considered:
    unmet = why_not(rule.bound.rule, request)
    if unmet:
        why = unmet
    elif rule.bound is verdict.rule:
        why = "decides: allows it" if isinstance(verdict, Allow) else "decides: forbids it"
    elif rule.bound.rule.effect is Effect.DENY:
        why = "forbids it as well" if isinstance(verdict, Deny) else "forbids some subscriptions to it, not all"
    else:
        why = "allows it as well" if isinstance(verdict, Allow) else "would allow it, but a deny rule wins"
    if rule.void_reason:
        why = f"{why}; widened, since {rule.void_reason}"
    return Considered(rule=rule.bound, filter=rule.filter, matches=not unmet, why=why)


def _asked(request: Request) -> tuple[Action, str]:
    action = Action.PUBLISH if isinstance(request, Publish) else Action.SUBSCRIBE
    return action, "filter" if isinstance(request, Subscribe) else "topic name"


def _why_untouched(rule: EffectiveRule, action: Action, about: str) -> str:
    if action not in rule.bound.rule.actions:
        return f"is not about {action.value}"
    if rule.filter is None:
        return f"is void, since {rule.void_reason}"
    if about == "filter" and rule.bound.rule.effect is Effect.DENY:
        return "does not meet the filter"
    return f"does not {'cover' if about == 'filter' else 'match'} the {about}"
