"""Patterns agree with Python's regular expressions, of which they are a part, and never take long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.core.auth_chains.patterns import PatternFault, parse_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "held"),
    [
        ("CN=(?P<username>[^,]+),O=acme", "CN=pump-1,O=acme", {"username": "pump-1"}),
        ("CN=(?P<username>[^,]+),O=acme", "CN=pump-1,O=acme2", None),
        ("CN=(?P<username>[^,]+),O=acme", "xCN=pump-1,O=acme", None),
        ("^(?P<name>.+)-[0-9]$", "pump-1-2", {"name": "pump-1"}),
        ("(?<plant>[a-z]{2})(?<name>.*)", "nopump", {"plant": "no", "name": "pump"}),
        (r"a\.b\$", "a.b$", {}),
        (r"a\.b", "aXb", None),
        ("(?P<a>x?)(?P<b>x?)", "x", {"a": "x", "b": ""}),
        ("(?P<a>.*)(?P<b>.*)", "", {"a": "", "b": ""}),
        (r"[\]\-a]+", "]-a", {}),
        (r"\d+\w{2,}", "17é_", None),  # letters and digits of ASCII alone
        (".", "\n", {}),
    ],
)
def test_the_whole_text_has_to_match(pattern: str, text: str, held: dict[str, str] | None) -> None:
    assert parse_pattern(pattern).match(text) == held


PIECES = st.tuples(
    st.sampled_from(["a", "b", "-", ".", r"\d", r"\w", "[ab]", "[^a]", r"\.", "[a-c0-9-]", "[^-.b]"]),
    st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "{1,}"]),
).map("".join)
ROWS = st.lists(st.tuples(st.booleans(), st.lists(PIECES, min_size=1, max_size=3)), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, text=st.text("ab-.1_\n", max_size=9))
def test_patterns_hold_what_pythons_hold(rows: list[tuple[bool, list[str]]], text: str) -> None:
    pattern = "".join(
        f"(?P<g{number}>{''.join(pieces)})" if grouped else "".join(pieces)
        for number, (grouped, pieces) in enumerate(rows)
    )
    expected = re.fullmatch(pattern, text, re.ASCII | re.DOTALL)
    assert parse_pattern(pattern).match(text) == (expected.groupdict() if expected else None)


@pytest.mark.parametrize(
    "pattern",
    [
        "", "a" * 301, "(a|b)", "a|b", "(a)", "(?P<a>(?P<b>x))", "(?P<a>x", "a)", "(?P<a>x)+", "(?P<a>x)(?P<a>y)",
        "a*?", "a++", "a**", "*a", "[", "[]", "[^]", "[b-a]", "[[:alpha:]]", "a{3,2}", "a{257}", "a{,2}", "a^b", "a$b",
        r"\b", r"\1", r"\Z", r"\x41", "(?i)a", "(?=a)", "(?P=a)", "(?P<A>x)", "(?P<1>x)", r"[\b]", r"[\d-z]", "a\\",
        r"\d" * 41,
    ],
)  # fmt: skip
def test_what_is_more_than_a_row_of_pieces_is_refused(pattern: str) -> None:
    with pytest.raises(PatternFault) as refused:
        parse_pattern(pattern)
    assert str(refused.value)


def test_what_hangs_a_backtracking_engine_is_answered_at_once() -> None:
    hostile = parse_pattern(".*" * 39 + "x")
    began = time.process_time()
    assert hostile.match("a" * 256) is None
    assert hostile.match("a" * 255 + "x") == {}
    assert hostile.match("x" * 257) is None  # longer than anything that may match
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("CN=(?P<a>[^,]+),O=acme", True),
        ("(?P<a>.*)", True),
        ("(?P<a>x*)(?P<b>y*)", False),
        ("CN=(?P<a>[^,]+),O=.*", False),
        ("(?P<a>.+)-[0-9]", False),
    ],
)
def test_a_group_tells_the_text_if_nothing_beside_it_varies(pattern: str, told: bool) -> None:
    assert parse_pattern(pattern).tells("a") is told
