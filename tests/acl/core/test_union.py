from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.union import cover_together
from tests.acl.core import reference
from tests.acl.core.strategies import filters


@settings(max_examples=500, deadline=None)
@given(entries=st.lists(filters, max_size=6), wanted=filters)
def test_filters_cover_together_as_the_reference_says(entries: list[str], wanted: str) -> None:
    assert cover_together(entries, wanted) is reference.cover_together(entries, wanted)


def test_a_tangle_of_filters_ends_soon_and_counts_as_not_covering() -> None:
    tangle = ["/".join("x" if position == hole else "+" for position in range(40)) for hole in range(40)]
    assert cover_together(tangle, "#") is False


def test_filters_too_deep_to_be_looked_through_count_as_not_covering() -> None:
    deep = "a/" * 600
    assert not cover_together([f"{deep}b", f"{deep}c"], f"{deep}+")
    assert cover_together([f"{deep}b", f"{deep}+"], f"{deep}b")
    assert not cover_together([f"{deep}#", "a/b"], "a/+")
    assert cover_together([f"{deep}#", "a", "a/+/#"], "a/#")


def test_deepest_that_is_looked_through_needs_no_more_frames_than_there_are() -> None:
    deep = "+/" * 98
    assert cover_together([f"{deep}+", f"{deep}+/#"], f"{deep}#") is False
    assert cover_together([f"{deep}a", f"{deep}+"], f"{deep}+")
