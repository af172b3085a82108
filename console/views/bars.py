"""Small drawings as numbers: what fills a bar, how high a column is. Templates only write them out as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.views.times import span


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar that is `percent` (0 to 100) full. `tone` is ok, warn or bad; `label` says the same in words."""

    percent: float
    tone: str
    label: str


def validity(*, begins: datetime, ends: datetime, now: datetime) -> Bar:
    """How much of a validity is left: it warns in the last third, and is bad in the last tenth or once over."""
    whole = (ends - begins).total_seconds()
    used = min(max((now - begins).total_seconds() / whole, 0.0), 1.0) if whole > 0 else 1.0
    if now >= ends:
        return Bar(percent=0, tone="bad", label=f"ended {span(now - ends)} ago")
    if now < begins:
        return Bar(percent=100, tone="warn", label=f"begins in {span(begins - now)}")
    tone = "ok" if used < 2 / 3 else "warn" if used < 0.9 else "bad"
    return Bar(percent=round(100 - used * 100, 1), tone=tone, label=f"{span(ends - now)} left")


def quota(*, used: int, of: int | None) -> Bar:
    """How much of a quota is used; None is no bound."""
    if of is None:
        return Bar(percent=0, tone="ok", label=f"{used} used, no bound")
    share = min(used / of, 1.0) if of else 1.0
    return Bar(percent=round(share * 100, 1), tone="ok" if share < 0.9 else "warn", label=f"{used} of {of} used")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a chart: its place and height in the drawing, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: int


def columns(values: Sequence[tuple[str, int]], *, width: float, height: float, gap: float = 3) -> list[Column]:
    """The values side by side in a drawing of that size; the largest reaches the top, any that is not 0 is seen."""
    if not values:
        return []
    most = max(1, *(value for _, value in values))
    each = width / len(values)
    return [
        Column(
            x=round(index * each + gap / 2, 2),
            y=round(height - high, 2),
            width=round(each - gap, 2),
            height=round(high, 2),
            label=label,
            value=value,
        )
        for index, (label, value) in enumerate(values)
        for high in [max(height * value / most, 2.0) if value else 0.0]
    ]
