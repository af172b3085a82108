from __future__ import annotations

import pytest

from brokers.core.emqx.subscribing import IN_PARTS, LEFT_OUT, LITERAL, Subscribing, subscribing
from tests.brokers.core.emqx_cast import bound


def made(*allows: str, denies: tuple[str, ...] = ()) -> Subscribing:
    return subscribing([(bound("allow", topic), topic) for topic in allows], denies)


def losses(found: Subscribing) -> list[tuple[str, str]]:
    return [(rule.rule.topic, why) for rule, why in found.losses]


def test_an_allow_without_a_wildcard_at_its_end_stands_as_it_is() -> None:
    found = made("a/#", "b/+/c", "d")
    assert (found.guards, found.patterns, found.literals) == (set(), {"a/#", "b/+/c", "d"}, set())


def test_an_allow_that_ends_in_plus_is_guarded_against_everything_below() -> None:
    found = made("a/+")
    assert (found.guards, found.patterns) == ({"a/#"}, {"a/+"})


def test_everything_below_is_not_guarded_where_another_rule_allows_it() -> None:
    found = made("a/+/#", "a/b/+")
    assert found.patterns == {"a/+/#"}  # which covers the other
    assert found.guards == {"a/#"}
    assert made("a/b/+", "+/b/#").guards == set()


def test_an_allow_with_no_end_of_filters_beyond_it_is_taken_literally() -> None:
    found = made("+/b/+")
    assert (found.guards, found.patterns, found.literals) == (set(), set(), {"+/b/+"})
    assert losses(found) == [("+/b/+", LITERAL)]


def test_it_is_not_needed_beside_one_that_covers_it() -> None:
    found = made("+/b/+", "+/b/#")
    assert (found.patterns, found.literals, losses(found)) == ({"+/b/#"}, set(), [])


def test_a_denied_name_is_guarded_by_every_filter_that_would_bring_it() -> None:
    found = made("a/+", denies=("a/secret",))
    assert (found.guards, found.patterns) == ({"a/#", "a/+"}, {"a/+"})


def test_an_allow_that_a_denied_tree_meets_is_left_out() -> None:
    found = made("a/#", "a/open/#", denies=("a/secret/#",))
    assert (found.guards, found.patterns) == (set(), {"a/open/#"})
    assert losses(found) == [("a/#", LEFT_OUT)]


def test_of_an_allow_that_a_deny_splits_the_parts_remain() -> None:
    found = made("a/#", denies=("a/+",))
    assert (found.guards, found.patterns, found.literals) == (set(), {"a"}, {"a/+/+/#"})
    assert losses(found) == [("a/#", IN_PARTS), ("a/#", LITERAL)]


@pytest.mark.parametrize("deny", ["#", "a/#", "+/+"])
def test_an_allow_that_is_denied_as_a_whole_is_nothing(deny: str) -> None:
    assert made("a/b", denies=(deny,)) == Subscribing()


def test_the_order_of_rules_means_nothing() -> None:
    topics = ["a/+", "a/b/+", "+/b/+", "a/#", "b/#", "+/x"]
    forward, backward = made(*topics, denies=("a/b", "b/+/c")), made(*reversed(topics), denies=("b/+/c", "a/b"))
    assert forward == backward
