"""The algebra of topics beyond what can be enumerated: six levels of any text, by names that stand for all the others.

A level that nobody spells stands for every level that nobody spells, so a handful of names decides about all.
"""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.index import FilterIndex
from acl.core.subtraction import subtract, subtract_all
from acl.core.topics import covers, intersects
from acl.core.union import cover_together
from tests.acl.core import reference

FRESH = "nobody spells this"
spelled = st.sampled_from(("", "a", "b", "$s", "$SYS", "\u00e9", "a b"))
levels = st.lists(st.one_of(spelled, st.just("+")), min_size=1, max_size=5)
deep_filters = st.builds(
    lambda found, end: "/".join([*found, *end]), levels, st.sampled_from(((), (), ("#",), ("+",)))
).filter(bool)


def standing_for(narrow: str, *, depth: int) -> list[str]:
    """Names under `narrow` that are under any other filter of at most `depth` levels only if all of them are."""
    own = [FRESH if level == "+" else level for level in narrow.split("/")]
    if own[-1] != "#":
        return ["/".join(own)]
    names = ["/".join([*own[:-1], *[FRESH] * count]) for count in range(depth + 2)]
    return [name for name in names if name]


def matched(filter: str, name: str) -> bool:
    return reference.matches(filter.split("/"), name.split("/"))


def names_about(*filters: str) -> list[str]:
    """Every name of what the filters spell at each level, and of what they do not."""
    depth = max(filter.count("/") for filter in filters) + 2
    there = [
        sorted({FRESH, *(text.split("/")[place] for text in filters if place <= text.count("/"))} - {"+", "#"})
        for place in range(depth)
    ]
    return ["/".join(name) for size in range(1, depth + 1) for name in product(*there[:size]) if name != ("",)]


@settings(max_examples=300, deadline=None)
@given(wide=deep_filters, narrow=deep_filters)
def test_one_filter_covers_another_if_it_matches_the_names_that_stand_for_it(wide: str, narrow: str) -> None:
    names = standing_for(narrow, depth=wide.count("/") + 1)
    assert covers(wide, narrow) is all(matched(wide, name) for name in names)


@settings(max_examples=150, deadline=None)
@given(left=deep_filters, right=deep_filters)
def test_two_filters_meet_if_one_of_the_names_about_them_is_under_both(left: str, right: str) -> None:
    names = names_about(left, right)
    assert intersects(left, right) is any(matched(left, name) and matched(right, name) for name in names)


@settings(max_examples=150, deadline=None)
@given(filter=deep_filters, denied=deep_filters)
def test_what_is_left_of_a_filter_is_what_is_not_denied(filter: str, denied: str) -> None:
    left = subtract(filter, denied)
    if left is not None:
        for name in names_about(filter, denied):
            wanted = matched(filter, name) and not matched(denied, name)
            assert sum(matched(text, name) for text in left) == int(wanted), name


@settings(max_examples=150, deadline=None)
@given(wanted=deep_filters, others=st.lists(deep_filters, min_size=1, max_size=3))
def test_what_several_filters_leave_of_one_is_nothing_if_they_cover_it_together(wanted: str, others: list[str]) -> None:
    left = subtract_all(wanted, others)
    assert (left == ()) is cover_together(others, wanted)
    index = FilterIndex()
    for number, text in enumerate(others):
        index.add(text, number)
    assert index.covering(wanted) == [number for number, text in enumerate(others) if covers(text, wanted)]
    assert index.intersecting(wanted) == [number for number, text in enumerate(others) if intersects(text, wanted)]
