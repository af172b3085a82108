"""The collector of cycles is off while somebody pauses it, and on again afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from kernel.core.garbage import collection_paused


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    was = gc.isenabled()
    gc.enable()
    yield
    if not was:
        gc.disable()


def test_it_is_off_within_and_on_again_afterwards() -> None:
    with collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_outermost_of_several_switches_it_on_again() -> None:
    with collection_paused():
        with collection_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_on_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), collection_paused():
        raise ValueError("broken")
    assert gc.isenabled()


def test_what_was_off_stays_off() -> None:
    gc.disable()
    with collection_paused():
        pass
    assert not gc.isenabled()
    gc.enable()


def test_it_stays_off_while_another_thread_is_within() -> None:
    inside, leave = Event(), Event()

    def pause() -> None:
        with collection_paused():
            inside.set()
            leave.wait(60)

    thread = Thread(target=pause)
    thread.start()
    try:
        assert inside.wait(60)
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        leave.set()
        thread.join(60)
    assert gc.isenabled()
