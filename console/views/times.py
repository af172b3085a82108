"""Moments and spans in words, for people at a screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_STEPS = (("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("h", 3_600), ("min", 60))


def span(length: timedelta) -> str:
    """The length in its largest fitting unit, such as `3 days`; below a minute in seconds."""
    seconds = int(abs(length.total_seconds()))
    for unit, size in _STEPS:
        if seconds >= size:
            count = seconds // size
            plural = "s" if count > 1 and unit not in {"h", "min"} else ""
            return f"{count} {unit}{plural}"
    return f"{seconds} s"


def relative(moment: datetime, now: datetime) -> str:
    """The moment as seen from `now`: `now`, `3 min ago` or `in 2 days`."""
    distance = moment - now
    if abs(distance) < timedelta(seconds=2):
        return "now"
    return f"in {span(distance)}" if distance > timedelta(0) else f"{span(distance)} ago"


def exact(moment: datetime) -> str:
    """The moment in UTC to the second, as `2027-03-01 12:00:00 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
