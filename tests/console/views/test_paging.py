"""The foot of a list says how many rows it shows."""

from __future__ import annotations

import pytest

from console.views.paging import Place


@pytest.mark.parametrize(
    ("shown", "noun", "words"),
    [
        (0, "devices", "0 devices"),
        (1, "devices", "1 device"),
        (2, "devices", "2 devices"),
        (1, "members", "1 member"),
        (1, "entries", "1 entry"),
        (2, "entries", "2 entries"),
    ],
)
def test_one_row_is_no_plural(shown: int, noun: str, words: str) -> None:
    place = Place(size=25, cursor="", trail=(), filters={})
    assert place.pager(shown=shown, next_key=None, noun=noun).words == words
    later = Place(size=25, cursor="a", trail=("",), filters={})
    assert later.pager(shown=shown, next_key=None, noun=noun, about=1234).words == f"Page 2, {words} of about 1,234"
