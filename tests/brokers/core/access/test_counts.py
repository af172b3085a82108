"""Counting what of the policy is used: each time counts, and of many templates few are kept."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from acl.core.observed_topics import MOST_FILTERS
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Principal, Publish, Rule, RuleId, Subscribe
from brokers.core.access.counts import Counts, Use, Used
from brokers.core.values import BrokerId
from tests.cast import NOW

BROKER = BrokerId(UUID(int=1))
PUMP = Principal(id="x", auth_id="p-1", client_id="p-1", username="p-1", domain="north")


def rule(topic: str) -> Rule:
    spec = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=topic)
    return Rule(id=RuleId(UUID(int=2)), **{name: getattr(spec, name) for name in RuleSpec.__slots__})


def count(topic: str, used: Iterable[Used]) -> tuple[Counts, Use]:
    counts = Counts()
    counts.allow(BROKER, rule(topic), used, device=None, day=NOW.date())
    (use,) = counts.uses.values()
    return counts, use


def test_each_time_counts() -> None:
    used: list[Used] = [(Publish(topic="a/b"), PUMP, 3), (Subscribe(topic="a/#"), PUMP, 2)]
    counts, use = count("a/#", used)
    hearing = counts.hearing(BROKER, NOW.date())
    assert (use.count, hearing.publishes, hearing.subscribes) == (5, 3, 2)
    assert set(use.filters) == {"a/b", "a/#"}


def test_of_as_many_templates_as_are_kept_each_is_told() -> None:
    names = frozenset(f"a/{number}" for number in range(MOST_FILTERS))
    _, use = count("a/#", [(Publish(topic=name), PUMP, 1) for name in sorted(names)] * 2)
    assert (use.count, use.filters) == (2 * MOST_FILTERS, names)


def test_of_more_templates_only_what_they_lie_below_is_told() -> None:
    names = [f"a/{part}/{number}" for part in ("x", "y") for number in range(1_000)]
    _, use = count("a/#", [(Publish(topic=name), PUMP, 1) for name in names])
    assert (use.count, use.filters) == (2_000, frozenset({"a/x/#", "a/y/#"}))


def test_nothing_is_told_of_templates_that_nothing_narrower_holds_together() -> None:
    _, use = count("a/#", [(Publish(topic=f"a/{number}"), PUMP, 1) for number in range(1_000)])
    assert (use.count, use.filters) == (1_000, frozenset())
