"""A key is known to verifiers before it signs, and for as long as a token of it may be good."""

from __future__ import annotations

from datetime import timedelta

import pytest

from brokers.core.token_keys import KeyState, TokenKey, next_signs_from, outlived, signing_key, state_of
from tests.cast import NOW

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def key(number: int, signs_from: timedelta) -> TokenKey:
    begins = NOW + signs_from
    return TokenKey(number=number, kid=f"k-{number}", public_key=b"", created_at=NOW, signs_from=begins)


FIRST, SECOND_KEY = key(1, 0 * DAY), key(2, 30 * DAY)


@pytest.mark.parametrize(
    ("keys", "at", "signs"),
    [
        ([], 0 * DAY, None),
        ([FIRST], 0 * DAY, 1),
        ([FIRST], 400 * DAY, 1),
        ([FIRST, SECOND_KEY], 30 * DAY - SECOND, 1),
        ([FIRST, SECOND_KEY], 30 * DAY, 2),
        ([SECOND_KEY], 29 * DAY, None),
    ],
)
def test_the_newest_key_whose_time_has_come_signs(keys: list[TokenKey], at: timedelta, signs: int | None) -> None:
    found = signing_key(keys, now=NOW + at)
    assert (found.number if found else None) == signs


@pytest.mark.parametrize(
    ("keys", "at", "due"),
    [
        ([], 5 * DAY, 5 * DAY),
        ([FIRST], 28 * DAY - SECOND, None),
        ([FIRST], 28 * DAY, 30 * DAY),
        ([FIRST, SECOND_KEY], 28 * DAY, None),
        ([FIRST, SECOND_KEY], 58 * DAY, 60 * DAY),
        ([FIRST], 50 * DAY, 52 * DAY),  # nobody was there in time: verifiers get two days all the same
    ],
)
def test_the_next_key_is_made_two_days_before_it_signs(
    keys: list[TokenKey], at: timedelta, due: timedelta | None
) -> None:
    assert next_signs_from(keys, now=NOW + at) == (None if due is None else NOW + due)


def test_an_old_key_stays_until_its_last_token_has_ended() -> None:
    keys = [FIRST, SECOND_KEY]
    assert outlived(keys, now=NOW + 30 * DAY + 2 * HOUR - SECOND) == []
    assert outlived(keys, now=NOW + 30 * DAY + 2 * HOUR) == [FIRST]
    assert outlived([SECOND_KEY], now=NOW + 400 * DAY) == []
    assert outlived([], now=NOW) == []


def test_a_key_is_the_next_then_signs_then_is_old() -> None:
    keys = [FIRST, SECOND_KEY]
    assert [state_of(key, keys, now=NOW + 29 * DAY) for key in keys] == [KeyState.SIGNING, KeyState.NEXT]
    assert [state_of(key, keys, now=NOW + 30 * DAY) for key in keys] == [KeyState.OLD, KeyState.SIGNING]
