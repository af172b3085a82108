"""When a binding holds: from one moment until another, each of them optional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kernel.core.clock import to_rfc3339
from kernel.core.errors import Invalid

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)  # to be shown in any zone


class WindowState(StrEnum):
    """Where a moment stands to a window: before it, in it, or behind it."""

    SCHEDULED = "scheduled"
    IN_FORCE = "in-force"
    ENDED = "ended"


class BadMoment(Invalid):
    """A window begins or ends at no moment that can be meant."""

    code = "binding-window-moment"


class EmptyWindow(Invalid):
    """The window ends before it begins."""

    code = "binding-window-empty"


class EndedWindow(Invalid):
    """The window has ended already."""

    code = "binding-window-ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `not_before` (inclusive) until `not_after` (exclusive), in UTC; None where it has no bound."""

    not_before: datetime | None = None
    not_after: datetime | None = None

    def state(self, now: datetime) -> WindowState:
        """Where `now` stands to it."""
        if self.not_after is not None and now >= self.not_after:
            return WindowState.ENDED
        if self.not_before is not None and now < self.not_before:
            return WindowState.SCHEDULED
        return WindowState.IN_FORCE

    def boundaries_after(self, now: datetime) -> tuple[datetime, ...]:
        """The moments still to come at which it begins or ends."""
        return tuple(moment for moment in (self.not_before, self.not_after) if moment is not None and moment > now)

    def as_texts(self) -> dict[str, str]:
        """Its bounds as they are written in documents, by name; those that it does not have are left out."""
        bounds = {"not_before": self.not_before, "not_after": self.not_after}
        return {name: to_rfc3339(moment) for name, moment in bounds.items() if moment is not None}

    def __str__(self) -> str:
        """Its bounds for people, such as `from 2027-03-01T12:00:00Z until …`; empty if it has none."""
        words = {"not_before": "from", "not_after": "until"}
        return " ".join(f"{words[name]} {text}" for name, text in self.as_texts().items())


ALWAYS = Window()


def check_window(window: Window, *, now: datetime | None = None) -> None:
    """Nothing, if a role may be given for that time. Raises BadMoment, EmptyWindow, and EndedWindow with `now`.

    A policy document may hold what has ended: it counts for nothing, and a change that was made in time still goes in.
    """
    for moment in (window.not_before, window.not_after):
        if moment is not None and (moment.tzinfo is None or not _FIRST <= moment < _LAST):
            raise BadMoment("A moment is in the years 2000 to 2999, in UTC: write it as 2027-03-01T12:00:00Z.")
    if window.not_before is not None and window.not_after is not None and window.not_before >= window.not_after:
        raise EmptyWindow("The role would be given for no time at all: let not_after be later than not_before.")
    if now is not None and window.state(now) is WindowState.ENDED:
        raise EndedWindow("The role would be given for a time that is over: let not_after be in the future.")


def window_of(texts: Mapping[str, str | None]) -> Window:
    """The window of which `as_texts` says the bounds; other texts are not looked at. Raises BadMoment."""
    return Window(not_before=_moment(texts.get("not_before")), not_after=_moment(texts.get("not_after")))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise BadMoment(f"{text[:40]!r} does not say its zone: write it in UTC, as 2027-03-01T12:00:00Z.")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadMoment(f"{text[:40]!r} is no moment that there is: write it as 2027-03-01T12:00:00Z.") from error
