from __future__ import annotations

import pytest

from brokers.core.versions import numbers_of


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("5.8.9", (5, 8, 9)),
        ("v5.8.9", (5, 8, 9)),
        ("6.3.0-beta.2", (6, 3, 0)),
        ("3.10.8.1", (3, 10, 8)),
        ("10.0", (10, 0)),
        ("2.0-rc1", (2, 0)),
        ("5", ()),
        ("6.0.12345", ()),
        ("6.12345", ()),
        ("12345.6.7", ()),
        (" 5.8.9", ()),
        ("", ()),
    ],
)
def test_numbers_with_which_a_version_begins_are_read(version: str, numbers: tuple[int, ...]) -> None:
    assert numbers_of(version) == numbers


def test_what_says_less_is_older() -> None:
    assert numbers_of("none") < numbers_of("5.8") < numbers_of("5.8.0")
