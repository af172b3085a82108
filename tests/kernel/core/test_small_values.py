"""Clock, ids and errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import Conflict, DomainError, NotFound, RateLimited, Unavailable
from kernel.core.ids import new_id, parse_id


def test_time_is_written_in_utc_with_a_z() -> None:
    moment = datetime(2027, 3, 1, 21, 0, 0, tzinfo=timezone(timedelta(hours=9)))
    assert to_rfc3339(moment) == "2027-03-01T12:00:00Z"


def test_present_time_is_aware() -> None:
    assert utc_now().tzinfo is UTC


def test_new_ids_are_version_7_and_rise() -> None:
    ids = [new_id() for _ in range(100)]
    assert {made.version for made in ids} == {7}
    assert ids == sorted(ids)


@pytest.mark.parametrize("text", ["", "x", "0193", "\0" * 36])
def test_text_that_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match="no device"):
        parse_id(text, what="device")


def test_errors_carry_a_code_of_their_class_or_their_own() -> None:
    assert Conflict("busy").code == "conflict"
    assert Conflict("busy", code="spent-token").code == "spent-token"
    assert RateLimited("slow down", retry_after_seconds=7).retry_after_seconds == 7
    assert issubclass(Unavailable, DomainError)
