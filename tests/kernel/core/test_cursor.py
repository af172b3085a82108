"""A cursor says where a page ended, and strangers' cursors are refused."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core import cursor

STORABLE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
PLACES = st.lists(st.none() | st.booleans() | st.integers() | STORABLE, max_size=4)


@given(PLACES)
def test_decoding_gives_back_what_was_encoded(place: list[str | int | bool | None]) -> None:
    assert cursor.decode(cursor.encode(place)) == place


@given(PLACES)
def test_cursor_needs_no_escaping_in_a_url(place: list[str | int | bool | None]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor.encode(place))


@pytest.mark.parametrize(
    "text", ["", "%", "a", "eyJhIjoxfQ", "ä", "W" * 2_000, "W1tb", "MQ", "WyJhXHUwMDAwIl0", "WyJcdWQ4MDAiXQ"]
)
def test_text_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(cursor.WrongCursor) as caught:
        cursor.decode(text)
    assert caught.value.errors[0].pointer == "/cursor"


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    with contextlib.suppress(cursor.WrongCursor):
        assert isinstance(cursor.decode(text), list)


def test_place_is_read_as_what_it_is_and_nothing_else_is() -> None:
    id = "018f0000-0000-7000-8000-000000000001"
    assert cursor.decode_id(cursor.encode([id]), str) == id
    assert cursor.decode_id(None, str) is None
    for other in ([], [id, id], ["x"], [7], [None]):
        with pytest.raises(cursor.WrongCursor):
            cursor.decode_id(cursor.encode(other), str)
    assert cursor.decode_named(cursor.encode(["a", id]), str) == ("a", id)
    assert cursor.decode_named("", str) is None
    wrongs: list[list[str | int]] = [[], [id], ["a", "x"], [7, id], ["a", id, "b"]]
    for wrong in wrongs:
        with pytest.raises(cursor.WrongCursor):
            cursor.decode_named(cursor.encode(wrong), str)
    assert cursor.decode_number(cursor.encode([7])) == 7
    assert cursor.decode_number(None) is None
    for number in ([], [0], [-1], [2**63], ["7"], [7, 7], [None]):
        with pytest.raises(cursor.WrongCursor):
            cursor.decode_number(cursor.encode(number))
