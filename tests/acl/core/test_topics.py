from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given

from acl.core.topics import InvalidTopic, covers, intersects, matches, valid_filter, valid_name
from tests.acl.core import reference
from tests.acl.core.strategies import filters, names

FILTERS = reference.all_filters(levels=("", "a", "$s", "+"))


@pytest.mark.parametrize(
    ("filter", "name", "expected"),
    [  # MQTT 5 4.7.1 and 4.7.2, the examples of the specification
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "sport/tennis", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor/Clients", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/monitor/Clients", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("a/+", "a/$b", True),
        ("ACCOUNTS", "Accounts", False),
        ("caf\u00e9", "cafe\u0301", False),
    ],
)
def test_matches_as_the_specification_says(filter: str, name: str, expected: bool) -> None:
    assert matches(filter, name) is expected


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("a/#", "a", True),
        ("a", "a/#", False),
        ("a/+", "a/#", False),
        ("a/#", "a/+/b", True),
        ("+/#", "#", True),
        ("#", "+/#", True),
        ("a/+/#", "a/#", False),
        ("#", "$SYS/#", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("+", "#", False),
    ],
)
def test_covers_is_about_every_name(wide: str, narrow: str, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@pytest.mark.parametrize("filter", ["", "#", "+", "a", "$a"])
def test_empty_text_is_no_filter(filter: str) -> None:
    for left, right in ((filter, ""), ("", filter)):
        assert not covers(left, right)
        assert not intersects(left, right)


def test_every_filter_matches_every_name_as_the_reference_does() -> None:
    for text in FILTERS:
        assert {name for name in reference.all_names() if matches(text, name)} == reference.names_under(text)


def test_every_pair_of_filters_covers_and_intersects_as_the_reference_does() -> None:
    for left, right in product(FILTERS, repeat=2):
        assert covers(left, right) is reference.covers(left, right), (left, right)
        assert intersects(left, right) is reference.intersects(left, right), (left, right)


@given(wide=filters, narrow=filters, name=names)
def test_what_the_covered_filter_matches_the_covering_one_matches(wide: str, narrow: str, name: str) -> None:
    if covers(wide, narrow) and matches(narrow, name):
        assert matches(wide, name)
        assert intersects(wide, narrow)


@pytest.mark.parametrize(
    "text", ["a", "/", "//", "+", "#", "+/#", "a/+/b", "a/#", "$SYS/#", " ", "a b", "\u00e9" * 32_767, "x" * 65_535]
)
def test_well_formed_filters_are_accepted(text: str) -> None:
    assert valid_filter(text) == text


@pytest.mark.parametrize(
    "text", ["", "a+", "+a/b", "a#", "#/a", "a/#/b", "##", "a\x00", "a/\ud800", "x" * 65_536, "\u00e9" * 32_768]
)
def test_malformed_filters_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidTopic, match=r"\.$|it has|this one has"):
        valid_filter(text)


@pytest.mark.parametrize("text", ["", "+", "a/#", "a+b", "a\x00", "\udfff"])
def test_malformed_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidTopic):
        valid_name(text)
