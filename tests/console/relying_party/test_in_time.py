"""Whether a relying party would take an answer at this time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.relying_party.fetching import NotFetchedError
from console.relying_party.in_time import check_times

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("begins", "ends"), [(-1, 60), (4, 60), (-60, None), (-60, 0)])
def test_what_is_in_its_time_is_taken(begins: int, ends: int | None) -> None:
    end = None if ends is None else NOW + timedelta(minutes=ends)
    check_times("The CRL", this_update=NOW + timedelta(minutes=begins), next_update=end, now=NOW)


@pytest.mark.parametrize(("begins", "ends", "said"), [(6, 60, "thisUpdate is in the future"), (-60, -1, "nextUpdate")])
def test_what_is_of_the_future_or_out_of_date_is_refused(begins: int, ends: int, said: str) -> None:
    with pytest.raises(NotFetchedError, match=said):
        check_times(
            "The CRL", this_update=NOW + timedelta(minutes=begins), next_update=NOW + timedelta(minutes=ends), now=NOW
        )
