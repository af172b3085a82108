from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.index import FEW, FilterIndex
from acl.core.topics import covers, intersects
from tests.acl.core.strategies import filters, names


@settings(max_examples=500, deadline=None)
@given(more=st.sampled_from([0, FEW]), few=st.lists(filters, max_size=FEW + 2), wanted=st.one_of(filters, names))
def test_index_agrees_with_the_pairwise_functions(more: int, few: list[str], wanted: str) -> None:
    entries = ["other"] * more + few
    index = FilterIndex()
    for number, entry in enumerate(entries):
        index.add(entry, number)
    assert index.covering(wanted) == [number for number, entry in enumerate(entries) if covers(entry, wanted)]
    assert index.intersecting(wanted) == [number for number, entry in enumerate(entries) if intersects(entry, wanted)]
