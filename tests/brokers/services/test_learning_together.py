"""What several threads wait for is read once for all of them, and never before they asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Event, Thread

import pytest

from brokers.services.learning_together import Together


class Reader:
    """Counts its readings; the first waits until it is let go."""

    def __init__(self) -> None:
        self.read: list[set[int]] = []
        self.begun, self.goes_on = Event(), Event()

    def __call__(self, keys: Collection[int]) -> Mapping[int, str]:
        self.read.append(set(keys))
        if len(self.read) == 1:
            self.begun.set()
            assert self.goes_on.wait(60)
        if 13 in keys:
            raise ValueError("13")
        return {key: str(key) for key in keys if key != 7}


def asked_during_a_reading(*keys: int, most: int = 100) -> tuple[list[set[int]], dict[int, object]]:
    """Which were read together, and what each thread got, of those that came while 0 was read."""
    reader, got = Reader(), dict[int, object]()
    together = Together(reader, most=most)

    def ask(key: int) -> None:
        try:
            got[key] = together.get(key)
        except ValueError as error:
            got[key] = error

    threads = [Thread(target=ask, args=(key,)) for key in (0, *keys)]
    threads[0].start()
    assert reader.begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    while len(together._waiting) < len(keys):
        threads[1].join(0.001)
    reader.goes_on.set()
    for thread in threads:
        thread.join(60)
    return reader.read, got


def test_those_who_come_during_a_reading_are_read_with_the_next() -> None:
    read, got = asked_during_a_reading(1, 2, 7)
    assert read == [{0}, {1, 2, 7}]
    assert got == {0: "0", 1: "1", 2: "2", 7: None}


def test_no_more_are_read_in_one_go_than_are_allowed() -> None:
    read, got = asked_during_a_reading(1, 2, 3, 4, 5, most=2)
    assert [len(each) for each in read] == [1, 2, 2, 1]
    assert got == {key: str(key) for key in range(6)}


def test_a_fault_is_told_to_all_who_waited_for_that_reading_and_to_nobody_else() -> None:
    _, got = asked_during_a_reading(1, 13)
    assert got[0] == "0"
    assert isinstance(got[1], ValueError)
    assert isinstance(got[13], ValueError)


def test_a_base_exception_leaves_nobody_waiting_for_ever() -> None:
    def read(_: Collection[int]) -> Mapping[int, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Together(read, most=1).get(1)
