"""The algebra of topics against the reference on all that there is of three levels: `a`, empty, `$s` and wildcards."""

from __future__ import annotations

import random
from itertools import combinations, product

from acl.core.index import FilterIndex
from acl.core.topics import covers, matches
from acl.core.union import cover_together
from tests.acl.core import reference

ALPHABET = ("", "a", "$s", "+")
FILTERS = reference.all_filters(levels=ALPHABET)
SHALLOW = reference.all_filters(depth=2, levels=ALPHABET)
NAMES = [name for name in reference.all_names() if name.count("/") < 3]


def test_an_index_of_every_filter_finds_what_the_reference_finds() -> None:
    index = FilterIndex()
    for number, text in enumerate(FILTERS):
        index.add(text, number)
    for wanted in FILTERS:
        ours = [FILTERS[number] for number in index.covering(wanted)]
        assert ours == [text for text in FILTERS if reference.covers(text, wanted)], wanted
        ours = [FILTERS[number] for number in index.intersecting(wanted)]
        assert ours == [text for text in FILTERS if reference.intersects(text, wanted)], wanted
    for name in NAMES:
        over = [text for text in FILTERS if name in reference.names_under(text)]
        assert [FILTERS[number] for number in index.covering(name)] == over, name
        assert [FILTERS[number] for number in index.intersecting(name)] == over, name


def test_every_one_two_and_three_shallow_filters_cover_together_what_the_reference_says() -> None:
    few = [text for text in SHALLOW if text.count("/") < 2]
    for size in (1, 2):
        for group in combinations(few, size):
            for wanted in few:
                assert cover_together(group, wanted) is reference.cover_together(group, wanted), (group, wanted)
    roll = random.Random(3)
    for group in roll.sample(list(combinations(few, 3)), 700):
        for wanted in few:
            assert cover_together(group, wanted) is reference.cover_together(group, wanted), (group, wanted)


def test_every_filter_and_a_sample_of_deep_ones_cover_together_what_the_reference_says() -> None:
    roll = random.Random(4)
    for _ in range(4_000):
        group, wanted = roll.sample(FILTERS, roll.randint(2, 5)), roll.choice(FILTERS)
        assert cover_together(group, wanted) is reference.cover_together(group, wanted), (group, wanted)


def test_covering_is_an_order() -> None:
    """Reflexive and transitive; two filters that cover each other are the same names."""
    over = {text: [wide for wide in FILTERS if covers(wide, text)] for text in FILTERS}
    for text in FILTERS:
        assert text in over[text]
        for wide in over[text]:
            assert set(over[wide]) <= set(over[text])
            if text in over[wide]:
                assert reference.names_under(text) == reference.names_under(wide)


def test_matching_is_covering_of_the_name_alone() -> None:
    for text, name in product(FILTERS, NAMES):
        assert matches(text, name) is covers(text, name)
