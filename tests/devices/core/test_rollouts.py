"""Who is in which wave."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.rollouts import BadGate, BadWaves, Gate, Measured, Reaction, Split, percentile, waves_of
from devices.core.values import DeviceId

ids = st.uuids().map(DeviceId)
NAMES = ("a", "b", "c", "d", "e")
named = st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=5)


def test_percentile_is_of_the_hash_of_the_id() -> None:
    # printf '%032d' 0 | xxd -r -p | sha256sum begins with 374708fff7719dd5
    assert percentile(DeviceId(UUID(int=0))) == 69


@given(ids, st.sets(st.integers(1, 99), min_size=1, max_size=10))
def test_each_device_is_in_one_wave_of_percentages_and_a_larger_share_never_loses_it(
    device: DeviceId, shares: set[int]
) -> None:
    rising = sorted(shares)
    waves = waves_of(Split.PERCENTAGE, [[str(share)] for share in rising])
    wave = waves.wave_of(device=device)
    come = [percentile(device) < share for share in (*rising, 100)]
    assert come == sorted(come), "once it has come to a device it stays"
    assert wave == come.index(True)
    assert waves.wave_of(device=device, groups=NAMES, broker=UUID(int=1)) == wave


@given(ids, named, st.data())
def test_the_first_wave_that_names_a_group_is_that_of_its_members(
    device: DeviceId, order: list[str], data: st.DataObject
) -> None:
    waves = waves_of(Split.GROUP, [[name] for name in order])
    groups = data.draw(st.sets(st.sampled_from(NAMES)))
    expected = min((order.index(name) for name in groups if name in order), default=len(order))
    assert waves.wave_of(device=device, groups=groups) == expected
    assert waves.last == len(order)


def test_waves_of_brokers_are_those_of_the_broker_asked_about() -> None:
    one, two, other = (UUID(int=number) for number in (1, 2, 3))
    waves = waves_of(Split.BROKER, [[str(one)], [str(two)]])
    device = DeviceId(UUID(int=9))
    assert [waves.wave_of(device=device, broker=each) for each in (one, two, other, None)] == [0, 1, 2, 2]
    assert [waves.wave_of_broker(each) for each in (one, two, other)] == [0, 1, 2]
    assert waves_of(Split.GROUP, [["a"]]).wave_of_broker(other) == 0


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        (Split.GROUP, []),
        (Split.GROUP, [["a"], []]),
        (Split.GROUP, [["a"], ["b", "a"]]),
        (Split.GROUP, [[str(number)] for number in range(51)]),
        (Split.GROUP, [[str(number) for number in range(1001)]]),
        (Split.PERCENTAGE, [["0"]]),
        (Split.PERCENTAGE, [["100"]]),
        (Split.PERCENTAGE, [["-1"]]),
        (Split.PERCENTAGE, [["٣"]]),
        (Split.PERCENTAGE, [["half"]]),
        (Split.PERCENTAGE, [["1", "2"]]),
        (Split.PERCENTAGE, [["20"], ["10"]]),
    ],
)
def test_what_can_not_be_waves_is_refused(split: Split, parts: list[list[str]]) -> None:
    with pytest.raises(BadWaves):
        waves_of(split, parts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"soak": timedelta(days=31)},
        {"soak": timedelta(seconds=-1)},
        {"refused": 101},
        {"lost": -1},
        {"on_trouble": Reaction.GO_ON},
    ],
)
def test_what_can_not_be_a_gate_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadGate):
        Gate(**wrong)  # type: ignore[arg-type]


def test_what_is_kept_comes_back() -> None:
    gate = Gate(soak=timedelta(seconds=90), refused=1, lost=7, on_trouble=Reaction.ROLL_BACK, on_unknown=Reaction.GO_ON)
    assert Gate.from_kept(gate.as_kept()) == gate
    measured = Measured(seen=4, refused=1, lost=2, unknown=("Who knows?",))
    assert Measured.from_kept(measured.as_kept()) == measured
