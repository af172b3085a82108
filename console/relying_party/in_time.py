"""Whether a relying party would take an answer at this time."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.relying_party.fetching import NotFetchedError

SKEW = timedelta(minutes=5)
"""So far a client's clock may be behind ours."""


def check_times(what: str, *, this_update: datetime, next_update: datetime | None, now: datetime) -> None:
    """Raises NotFetchedError, in which `what` begins the sentence, if it is of the future or out of date."""
    if this_update > now + SKEW:
        raise NotFetchedError(f"{what}'s thisUpdate is in the future: a client refuses it.")
    if next_update is not None and next_update < now:
        raise NotFetchedError(f"{what} is past its nextUpdate: a client refuses it.")
