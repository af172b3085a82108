"""Bars and columns, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.views.bars import columns, quota, validity
from console.views.times import exact, relative, span

T = datetime(2027, 3, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("begins", "ends", "percent", "tone", "label"),
    [
        (T - 10 * DAY, T + 90 * DAY, 90, "ok", "2 months left"),
        (T - 70 * DAY, T + 30 * DAY, 30, "warn", "30 days left"),
        (T - 95 * DAY, T + 5 * DAY, 5, "bad", "5 days left"),
        (T - 95 * DAY, T - 5 * DAY, 0, "bad", "ended 5 days ago"),
        (T + DAY, T + 5 * DAY, 100, "warn", "begins in 1 day"),
        (T, T, 0, "bad", "ended 0 s ago"),
    ],
)
def test_validity_shows_what_is_left(begins: datetime, ends: datetime, percent: float, tone: str, label: str) -> None:
    bar = validity(begins=begins, ends=ends, now=T)
    assert (bar.percent, bar.tone, bar.label) == (percent, tone, label)


def test_quota_shows_what_is_used() -> None:
    assert (quota(used=5, of=20).percent, quota(used=5, of=20).tone) == (25, "ok")
    assert (quota(used=20, of=20).percent, quota(used=20, of=20).tone) == (100, "warn")
    assert quota(used=0, of=0).percent == 100


def test_highest_column_reaches_the_top_and_small_ones_are_seen() -> None:
    found = columns([("a", 0), ("b", 1), ("c", 1000)], width=300, height=90, gap=0)
    assert [(column.x, column.width, column.height, column.y) for column in found] == [
        (0, 100, 0, 90),
        (100, 100, 2, 88),
        (200, 100, 90, 0),
    ]
    assert columns([], width=1, height=1) == []


def test_times_are_told_in_the_largest_fitting_unit() -> None:
    assert span(timedelta(seconds=59)) == "59 s"
    assert span(timedelta(minutes=61)) == "1 h"
    assert span(timedelta(days=800)) == "2 years"
    assert relative(T, T) == "now"
    assert relative(T - timedelta(minutes=3), T) == "3 min ago"
    assert relative(T + 2 * DAY, T) == "in 2 days"
    assert exact(T) == "2027-03-01 12:00:00 UTC"
