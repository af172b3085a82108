"""The time, as a value that is handed in. Only edges (views, tasks, commands) read the clock."""

from __future__ import annotations

from datetime import UTC, datetime

FOR_EVER = datetime.max.replace(tzinfo=UTC)
"""The moment that never comes."""


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(UTC)


def to_rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339 in UTC with a `Z`, to the second unless it has microseconds."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
