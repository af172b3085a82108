"""A cursor says where a page ended, and strangers' cursors are refused."""

from __future__ import annotations

import contextlib
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core import cursor

PLACES = st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=40), max_size=4)


@given(PLACES)
def test_decoding_gives_back_what_was_encoded(place: list[str | int | bool | None]) -> None:
    assert cursor.decode(cursor.encode(place)) == place


@given(PLACES)
def test_cursor_needs_no_escaping_in_a_url(place: list[str | int | bool | None]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor.encode(place))


@pytest.mark.parametrize("text", ["", "%", "a", "eyJhIjoxfQ", "ä", "W" * 2_000, "W1tb", "MQ"])
def test_text_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(cursor.WrongCursor) as caught:
        cursor.decode(text)
    assert caught.value.errors[0].pointer == "/cursor"


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    with contextlib.suppress(cursor.WrongCursor):
        assert isinstance(cursor.decode(text), list)


def test_place_that_is_one_id_is_read_as_one_and_nothing_else_is() -> None:
    id = "018f0000-0000-7000-8000-000000000001"
    assert cursor.decode_id(cursor.encode([id])) == UUID(id)
    assert cursor.decode_id(None) is None
    for other in ([], [id, id], ["x"], [7], [None]):
        with pytest.raises(cursor.WrongCursor):
            cursor.decode_id(cursor.encode(other))
