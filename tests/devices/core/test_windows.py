"""Windows, at their bounds and beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from devices.core.windows import (
    ALWAYS,
    BadMoment,
    EmptyWindow,
    EndedWindow,
    Window,
    WindowState,
    check_window,
    window_of,
)

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
HOUR = Window(not_before=NOON, not_after=NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (NOON - INSTANT, WindowState.SCHEDULED),
        (NOON, WindowState.IN_FORCE),
        (NOON + timedelta(hours=1) - INSTANT, WindowState.IN_FORCE),
        (NOON + timedelta(hours=1), WindowState.ENDED),
    ],
)
def test_a_window_holds_from_its_first_bound_on_and_until_its_second(now: datetime, state: WindowState) -> None:
    assert HOUR.state(now) is state


def test_a_window_without_bounds_holds_always() -> None:
    assert ALWAYS.state(NOON) is WindowState.IN_FORCE
    assert ALWAYS.boundaries_after(NOON) == ()


def test_boundaries_are_those_that_are_still_to_come() -> None:
    assert HOUR.boundaries_after(NOON - INSTANT) == (NOON, NOON + timedelta(hours=1))
    assert HOUR.boundaries_after(NOON) == (NOON + timedelta(hours=1),)
    assert HOUR.boundaries_after(NOON + timedelta(hours=1)) == ()


def test_bounds_are_spelled_in_utc_and_read_back() -> None:
    tokyo = timezone(timedelta(hours=9))
    window = Window(not_before=datetime(2027, 3, 1, 21, tzinfo=tokyo), not_after=NOON + INSTANT)
    assert window.as_texts() == {"not_before": "2027-03-01T12:00:00Z", "not_after": "2027-03-01T12:00:00.000001Z"}
    assert window_of(window.as_texts()) == window
    assert str(window) == "from 2027-03-01T12:00:00Z until 2027-03-01T12:00:00.000001Z"
    assert (ALWAYS.as_texts(), window_of({}), str(ALWAYS)) == ({}, ALWAYS, "")


@pytest.mark.parametrize(
    "text", ["", "noon", "2027-03-01", "2027-03-01T12:00:00", "2027-02-29T00:00:00Z", "0001-01-01T00:00:00+01:00"]
)
def test_what_is_no_moment_in_utc_is_not_read(text: str) -> None:
    with pytest.raises(BadMoment):
        window_of({"not_after": text})


def test_a_window_has_to_be_one_that_can_be_meant() -> None:
    check_window(HOUR, now=NOON)
    check_window(HOUR)
    with pytest.raises(EmptyWindow):
        check_window(Window(not_before=NOON, not_after=NOON))
    with pytest.raises(EndedWindow):
        check_window(HOUR, now=NOON + timedelta(hours=1))
    for moment in (datetime(2027, 3, 1, 12), datetime(1999, 12, 31, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)):  # noqa: DTZ001
        with pytest.raises(BadMoment):
            check_window(Window(not_before=moment))
