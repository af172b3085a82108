"""Which other rules have a say in what a change of one role gives and takes; the others need no look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from acl.core.analysis_diff import AnyRule
from acl.core.analysis_filters import common_part, widened
from acl.core.analysis_work import Work
from acl.core.rules import RuleSpec
from acl.core.values import Effect, Rule


def changed_rules(before: Iterable[AnyRule], after: Iterable[AnyRule]) -> frozenset[RuleSpec]:
    """The rules that are in one of them only."""
    return frozenset(map(_spec, before)) ^ frozenset(map(_spec, after))


def have_a_say(rules: Iterable[Rule], changed: Iterable[AnyRule], work: Work | None = None) -> tuple[Rule, ...]:
    """Those of the rules that meet a changed one: only they can make more or less of the change.

    With no work left it is all rules: more than have to be looked at.
    """
    every_change, left = tuple(changed), work or Work()
    return tuple(rule for rule in rules if any(_meet(rule, other, left) for other in every_change))


def _meet(rule: Rule, other: AnyRule, work: Work) -> bool:
    pairs = list(product(_reaches(rule), _reaches(other)))
    if not work.spend(len(pairs) * (2 + rule.topic.count("/") // 8)):
        return True
    return not rule.actions.isdisjoint(other.actions) and any(common_part(*pair) for pair in pairs)


def _reaches(rule: AnyRule) -> Sequence[str]:
    return (rule.topic, widened(rule.topic)) if rule.effect is Effect.DENY and "${" in rule.topic else (rule.topic,)


def _spec(rule: AnyRule) -> RuleSpec:
    return RuleSpec.of(rule) if isinstance(rule, Rule) else rule
