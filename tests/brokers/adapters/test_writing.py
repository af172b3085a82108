"""Whoever writes asks often enough whether it still may."""

from __future__ import annotations

from itertools import pairwise

import pytest

from brokers.adapters.writing import Latest, Refusals, paced
from brokers.core.ports import BrokerUnreachable, DesiredState, Step
from kernel.core.errors import Conflict

STEPS = [Step(kind="set", target=str(number), summary="") for number in range(5)]


@pytest.mark.parametrize(("seconds", "asked"), [(0.1, ["0", "3"]), (1.5, ["0", "2", "3"]), (9.0, list("01234"))])
def test_it_is_asked_before_each_batch_and_behind_what_was_slow(
    seconds: float, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("brokers.adapters.writing.time.monotonic", lambda: now)
    told: list[str] = []
    for step in paced(STEPS, lambda: told.append("asked"), every=3):
        told.append(step.target)
        now += seconds
    assert [target for before, target in pairwise(told) if before == "asked"] == asked


def test_the_last_state_is_compiled_once() -> None:
    seen: list[DesiredState] = []

    def compiler(desired: DesiredState) -> int:
        seen.append(desired)
        return len(seen)

    compiled = Latest(compiler)
    one, same = DesiredState(subjects=()), DesiredState(subjects=())
    assert [compiled(one), compiled(one), compiled(same), compiled(one)] == [1, 1, 2, 3]


def test_step_that_is_refused_keeps_no_other_from_being_made() -> None:
    made: list[int] = []

    def batch() -> None:
        with Refusals() as refusals:
            for number in range(4):
                with refusals.aside():
                    if number % 2:
                        raise Conflict(f"No {number}.")
                    made.append(number)

    with pytest.raises(Conflict, match="No 1"):
        batch()
    assert made == [0, 2]


def test_what_ends_the_batch_is_raised_at_once() -> None:
    def batch() -> None:
        with Refusals() as refusals:
            for fault in (Conflict("It is told when the rest is made."), BrokerUnreachable("It is away.")):
                with refusals.aside():
                    raise fault

    with pytest.raises(BrokerUnreachable):
        batch()
