"""One thread answers, the others rest: who has the lane, and that nobody rests for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from kernel.core.lane import PATIENCE_SECONDS, Lane

Found = TypeVar("Found")
SOON = 5.0


class Thread:
    """One thread that does what it is told, one thing after the other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    def begin(self, act: Callable[[], Found]) -> Future[Found]:
        return self._pool.submit(act)

    def do(self, act: Callable[[], Found]) -> Found:
        return self.begin(act).result(SOON)


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_the_first_that_answers_has_the_lane_and_keeps_it(lane: Lane) -> None:
    one, two = Thread(), Thread()
    assert [one.do(lane.keep), two.do(lane.keep), one.do(lane.keep), two.do(lane.keep)] == [True, False, True, False]


def test_who_rests_follows_at_once_when_the_lane_is_left() -> None:
    lane, one, two = Lane(patience=60), Thread(), Thread()
    assert one.do(lane.keep)
    resting = two.begin(lane.rest)
    time.sleep(0.1)
    assert one.do(lane.keep)
    assert not resting.done()
    one.do(lane.leave)
    resting.result(SOON)
    assert two.do(lane.keep)
    assert not one.do(lane.keep)


def test_who_rests_does_not_follow_one_that_answers() -> None:
    lane, one, two = Lane(patience=1), Thread(), Thread()
    assert one.do(lane.keep)
    resting = two.begin(lane.rest)
    ends_at = time.monotonic() + 2.5
    while time.monotonic() < ends_at:
        assert one.do(lane.keep)
        time.sleep(0.01)
    assert not resting.done()


def test_one_of_many_that_rest_follows(lane: Lane) -> None:
    one, others = Thread(), [Thread() for _ in range(5)]
    assert one.do(lane.keep)
    resting = [each.begin(lane.rest) for each in others]
    one.do(lane.leave)
    ends_at = time.monotonic() + SOON
    while not any(each.done() for each in resting):
        assert time.monotonic() < ends_at
    following = next(thread for thread, each in zip(others, resting, strict=True) if each.done())
    assert following.do(lane.keep)


def test_a_holder_that_answers_nobody_loses_it(lane: Lane) -> None:
    """It waits for requests, is stuck somewhere, or its thread was ended by the server."""
    one, others = Thread(), [Thread() for _ in range(5)]
    assert one.do(lane.keep)
    began = time.monotonic()
    for resting in [each.begin(lane.rest) for each in others]:
        resting.result(SOON)
    assert time.monotonic() - began > PATIENCE_SECONDS * 0.9
    assert sum(each.do(lane.keep) for each in [one, *others]) == 1


def test_whoever_has_not_got_it_can_not_leave_it(lane: Lane) -> None:
    one, two = Thread(), Thread()
    assert one.do(lane.keep)
    two.do(lane.leave)
    assert not two.do(lane.keep)
    one.do(lane.leave)
    one.do(lane.leave)
    assert two.do(lane.keep)


def test_a_free_lane_is_taken_without_waiting() -> None:
    lane, one = Lane(patience=60), Thread()
    one.do(lane.rest)
    assert one.do(lane.keep)
