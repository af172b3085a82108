"""What stops a rollout."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.core.rollout_gate import Hearing, is_in_trouble, reaction_to, trouble_of, unknown_of
from brokers.core.values import AdapterKind
from devices.core.rollouts import Gate, Measured, Reaction

TEN = timedelta(minutes=10)
GATE = Gate(refused=2, lost=5, on_trouble=Reaction.ROLL_BACK, on_unknown=Reaction.PAUSE)


def hearing(kind: AdapterKind, minutes: int, *, told: bool = False) -> Hearing:
    return Hearing(name="hall-7", kind=kind, minutes=minutes, told=told)


@pytest.mark.parametrize(
    ("refused", "lost", "expected"),
    [(0, 0, False), (2, 5, False), (3, 0, True), (0, 6, True), (3, 6, True)],
)
def test_more_than_the_share_of_those_seen_is_trouble(refused: int, lost: int, expected: bool) -> None:
    assert bool(trouble_of(GATE, Measured(seen=100, refused=refused, lost=lost))) is expected


def test_trouble_is_told_first_and_what_is_not_known_next() -> None:
    unknown = ("hall-7 does not tell denials of devices.",)
    assert reaction_to(GATE, Measured(seen=10, refused=1, unknown=unknown))[0] is Reaction.ROLL_BACK
    reaction, why = reaction_to(GATE, Measured(seen=10, unknown=unknown))
    assert reaction is Reaction.PAUSE
    assert why.endswith(unknown[0])
    assert reaction_to(GATE, Measured(seen=10)) == (Reaction.GO_ON, "")


def test_trouble_is_more_than_twice_as_much_as_before() -> None:
    assert [is_in_trouble(*pair) for pair in ((0, 0), (1, 0), (2, 1), (3, 1), (10, 5))] == [
        False, True, False, True, False,
    ]  # fmt: skip


def test_a_broker_that_tells_less_or_was_not_heard_is_said() -> None:
    assert unknown_of([hearing(AdapterKind.NATS, 9)], seen=1, watched=TEN) == (
        "hall-7 does not tell denials of devices.",
    )
    assert unknown_of([hearing(AdapterKind.MOSQUITTO_DYNSEC, 7)], seen=0, watched=TEN) == (
        "No device of this wave was seen.",
        "hall-7 was not heard all the time.",
        "hall-7 does not tell denials and refusals of devices.",
    )


@given(st.sampled_from([*AdapterKind]), st.integers(0, 60), st.booleans())
def test_nothing_is_known_of_a_broker_that_was_never_heard(kind: AdapterKind, minutes: int, told: bool) -> None:
    watched = timedelta(minutes=minutes)
    silent = unknown_of([hearing(kind, 0, told=False)], seen=1, watched=watched)
    assert "hall-7 was not heard all the time." in silent
    assert set(unknown_of([hearing(kind, minutes, told=told)], seen=1, watched=watched)) <= set(silent)


def test_a_login_that_could_not_be_decided_is_not_known_to_be_well() -> None:
    undecided = replace(hearing(AdapterKind.HTTP_DECISIONS, 9), undecided=True)
    assert "Gatehouse could not decide on a login at hall-7." in unknown_of([undecided], seen=1, watched=TEN)
