"""Against the definitions, tried out on every filter of a small alphabet."""

from __future__ import annotations

from itertools import product

import pytest

from acl.core.topics import covers, intersects
from brokers.core.emqx.wildcards import MOST_NAMED, admitted_beyond, unseen_by


def filters(levels: tuple[str, ...], depth: int) -> list[str]:
    """Every filter of these levels, with and without # at the end, in its shortest spelling."""
    made = ["/".join(choice) for size in range(1, depth + 1) for choice in product(levels, repeat=size)]
    made += ["#", *(f"{each}/#" for each in made if each.count("/") < depth - 1)]
    return [each for each in made if each not in {"", "+/#", "/+/#"}]


def seen(rule: str, asked: str) -> bool:
    """Word by word: what MQTT says of a name, said of a filter."""
    if rule == "#":
        return True
    own, _, rest = rule.partition("/")
    word, slash, following = asked.partition("/")
    if own not in ("+", word):
        return False
    if not slash or "/" not in rule:
        return (not slash and rest == "#") or (not slash and "/" not in rule)
    return seen(rest, following)


ASKED = [*filters(("", "a", "b", "c", "+"), 4), "+/#", "/+/#"]
OWN = filters(("", "a", "+"), 3)


@pytest.mark.parametrize("filter", OWN)
def test_what_is_admitted_beyond_a_rule_is_what_words_match_and_names_do_not(filter: str) -> None:
    beyond = {asked for asked in ASKED if seen(filter, asked) and not covers(filter, asked)}
    found = admitted_beyond(filter)
    if found is None:
        assert any("c" in asked for asked in beyond)  # a level that nobody spells will do, so any will
    else:
        assert set(found) == beyond


def test_what_a_deny_does_not_see_is_what_it_meets_and_words_do_not_match() -> None:
    closed = [filter for filter in OWN if admitted_beyond(filter) is not None]
    covered = {filter: {asked for asked in ASKED if covers(filter, asked)} for filter in closed}
    for denied in filters(("", "a", "b", "+"), 3):
        unseen = {asked for asked in ASKED if intersects(denied, asked) and not seen(denied, asked)}
        for filter in closed:
            expected = covered[filter] & unseen
            found = unseen_by([denied], filter)
            if found is None:
                assert any("c" in asked for asked in expected) or len(expected) > MOST_NAMED, (filter, denied)
            else:
                assert found == expected, (filter, denied)


@pytest.mark.parametrize(
    ("filter", "beyond"),
    [
        ("a/+", ("a/#",)),
        ("a/+/#", ("a/#",)),
        ("+", ("#",)),
        ("/+", ("/#",)),
        ("$s/+", ("$s/#",)),
        ("a/+/b", ()),
        ("a/#", ()),
        ("a/b/+", ("a/b/#",)),
        ("+/#", ()),
        ("/+/#", ()),
        ("+/+", None),
        ("a/+/+/#", None),
    ],
)
def test_filters_admitted_beyond_a_rule(filter: str, beyond: tuple[str, ...] | None) -> None:
    assert admitted_beyond(filter) == beyond


def test_a_denied_name_under_a_wildcard_can_be_guarded_filter_by_filter() -> None:
    assert unseen_by(["a/b"], "a/#") == frozenset({"a/#", "a/+", "a/b/#", "a/+/#"})
    assert unseen_by(["x/y/b"], "+/+/b") == frozenset({"+/+/b", "x/+/b", "+/y/b"})
    assert unseen_by(["$SYS/x"], "#") == frozenset()  # # does not meet it


def test_a_denied_tree_under_a_wildcard_can_not() -> None:
    assert unseen_by(["a/secret/#"], "a/#") is None
    assert unseen_by(["x/+/b"], "+/+/b") is None


def test_more_than_can_be_named_counts_as_endless() -> None:
    assert unseen_by(["a/b/c/d/e/f"], "#") is None
