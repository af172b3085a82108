"""What a role could do without, from what of it was used. Nothing here is ever wider than the rule that it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from acl.core.analysis_filters import template_covers
from acl.core.observed_topics import summarise
from acl.core.rules import RuleSpec
from acl.core.values import Effect, Role, Rule, RuleId

MOST_FILTERS = 4


class SuggestionKind(StrEnum):
    """Take a rule out that nobody used, or put in its place the filters that were used."""

    DROP = "drop-rule"
    NARROW = "narrow-rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """How a rule was used in a while. `filters` cover every use; none if they are too many or too different to tell."""

    count: int
    filters: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """`filters` are put in the rule's place. `count` says how often it was used in so many `days`."""

    kind: SuggestionKind
    role: Role
    rule: Rule
    filters: tuple[str, ...]
    count: int
    days: int

    @property
    def id(self) -> str:
        """The same for as long as the same is suggested about the rule."""
        return f"{self.kind.value}:{self.rule.id}"


def suggest(
    role: Role, observed: Mapping[RuleId, Observed], *, watched: Collection[RuleId], days: int
) -> Iterator[Suggestion]:
    """What the role could do without. `watched` are the rules whose every use in these days would be among `observed`.

    A deny is never suggested away, and no rule that is not watched.
    """
    for rule in role.rules:
        if rule.effect is Effect.DENY or rule.id not in watched:
            continue
        seen = observed.get(rule.id)
        if seen is None or seen.count == 0:
            yield Suggestion(kind=SuggestionKind.DROP, role=role, rule=rule, filters=(), count=0, days=days)
            continue
        filters = narrower(rule, seen.filters)
        if filters:
            yield Suggestion(
                kind=SuggestionKind.NARROW, role=role, rule=rule, filters=filters, count=seen.count, days=days
            )


def narrower(rule: Rule, used: Collection[str]) -> tuple[str, ...]:
    """At most four templates that cover all that was used, and that the rule covers but they not it; else ()."""
    found = summarise(rule.topic, used, most=MOST_FILTERS) if used else ()
    inside = all(template_covers(rule.topic, filter) for filter in found)
    return found if inside and not any(template_covers(filter, rule.topic) for filter in found) else ()


def without_surplus(rules: Sequence[Rule], suggestions: Collection[Suggestion]) -> tuple[RuleSpec, ...]:
    """The rules as suggested, in their order, each once."""
    by_rule = {suggestion.rule.id: suggestion.filters for suggestion in suggestions}
    specs: dict[RuleSpec, None] = {}
    for rule in rules:
        spec = RuleSpec.of(rule)
        for topic in by_rule.get(rule.id, (rule.topic,)):
            specs.setdefault(replace(spec, topic=topic))
    return tuple(specs)
