from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.subtraction import subtract, subtract_all
from acl.core.topics import covers, intersects, valid_filter
from tests.acl.core import reference
from tests.acl.core.strategies import filters

FILTERS = reference.all_filters(levels=("", "a", "$s", "+"))
FRESH = ("other", "else", "more")


@pytest.mark.parametrize(
    ("filter", "denied", "left"),
    [
        ("a/#", "b/#", ("a/#",)),
        ("a/#", "a/#", ()),
        ("a/b", "a/+", ()),
        ("a/#", "a", ("a/+/#",)),
        ("a/#", "a/+", ("a", "a/+/+/#")),
        ("a/#", "a/+/#", ("a",)),
        ("a/#", "a/+/+/#", ("a", "a/+")),
        ("#", "+", ("+/+/#",)),
        ("#", "+/+/#", ("+",)),
        ("/#", "/+", ("/+/+/#",)),
        ("/+/#", "/#", ()),
        ("#", "+/#", ()),
        ("+/#", "$SYS/#", ("+/#",)),
        ("$SYS/#", "#", ("$SYS/#",)),
        ("$SYS/+", "$SYS/#", ()),
        ("a/+/#", "a/#", ()),
        ("+/b", "+/+", ()),
        ("a/#", "+/b", None),
        ("a/+", "a/b", None),
        ("a/#", "a/secret/#", None),
        ("+", "a", None),
        ("+/a", "/a", None),
        ("+/b/#", "+/b", ("+/b/+/#",)),
    ],
)
def test_what_is_left(filter: str, denied: str, left: tuple[str, ...] | None) -> None:
    assert subtract(filter, denied) == left


def test_every_pair_of_filters_leaves_just_the_names_that_are_not_denied() -> None:
    for filter, denied in product(FILTERS, repeat=2):
        left = subtract(filter, denied)
        if left is None:
            assert _splits_a_wildcard(filter, denied), (filter, denied)
            continue
        found = [reference.names_under(valid_filter(text)) for text in left]
        assert sum(map(len, found)) == len(frozenset().union(*found)), (filter, denied, "not disjoint")
        assert frozenset().union(*found) == reference.names_under(filter) - reference.names_under(denied)
        assert sorted(left) == list(left)


def _splits_a_wildcard(filter: str, denied: str) -> bool:
    """Whether one name is denied that differs in one level, where `filter` takes any, from several that are not.

    Every filter for those several is one for the denied name as well, so there is no finite set of filters.
    """
    return any(
        not any(_with(name, position, level) in reference.names_under(denied) for level in FRESH)
        for name in reference.names_under(filter) & reference.names_under(denied)
        for position in range(name.count("/") + 1)
        if all(covers(filter, _with(name, position, level)) for level in FRESH)
    )


def _with(name: str, position: int, level: str) -> str:
    levels = name.split("/")
    levels[position] = level
    return "/".join(levels)


@settings(max_examples=300, deadline=None)
@given(filter=filters, denied=st.lists(filters, max_size=4))
def test_several_denies_take_away_what_they_take_away_together(filter: str, denied: list[str]) -> None:
    left = subtract_all(filter, denied)
    assert left == subtract_all(filter, reversed(denied))
    wanted = reference.names_under(filter).difference(*map(reference.names_under, denied))
    if left is not None:
        assert frozenset().union(*map(reference.names_under, left)) == wanted
    else:
        assert any(subtract(filter, other) is None for other in denied)
        assert not any(covers(other, filter) for other in denied)


def test_a_deny_that_another_covers_does_not_stand_in_the_way() -> None:
    assert subtract_all("a/#", ["a/b", "a/+"]) == ("a", "a/+/+/#")
    assert subtract_all("a/#", ["a/b", "a/+/#"]) == ("a",)
    assert subtract_all("a/#", ["a/b", "a/+/+"]) is None
    assert subtract_all("a", []) == ("a",)


@given(filter=filters, denied=filters)
def test_what_is_left_is_allowed_and_not_denied(filter: str, denied: str) -> None:
    for text in subtract(filter, denied) or ():
        assert covers(filter, text)
        assert not intersects(denied, text)
