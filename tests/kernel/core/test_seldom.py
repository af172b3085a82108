"""What may happen thousands of times a second is logged once in a second, and how often it was."""

from __future__ import annotations

import logging

import pytest

from kernel.core.seldom import Seldom


def test_each_wording_is_told_once_a_second_with_how_many_were_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    seconds = [50.0]
    log = logging.getLogger("tests.seldom")
    log.addFilter(Seldom(clock=lambda: seconds[0]))
    for number in range(5_000):
        log.warning("question %d is refused: %s", number, "away")
    log.warning("something else")
    seconds[0] += 1
    log.warning("question %d is refused: %s", 7, "away")
    seconds[0] += 1
    log.warning("question %d is refused: %s", 8, "away")
    assert [record.getMessage() for record in caplog.records] == [
        "question 0 is refused: away",
        "something else",
        "question 7 is refused: away (and 4999 more since the last)",
        "question 8 is refused: away",
    ]
