"""What adapters that write policy do alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from brokers.core.ports import DesiredState, Step

_SECONDS = 2.0

Compiled = TypeVar("Compiled")


class Latest(Generic[Compiled]):
    """A compiler that keeps what the last desired state came to: it is asked for by render, plan and effect."""

    def __init__(self, compiler: Callable[[DesiredState], Compiled]) -> None:
        self._compiler = compiler
        self._kept: tuple[DesiredState, Compiled] | None = None

    def __call__(self, desired: DesiredState) -> Compiled:
        if self._kept is None or self._kept[0] is not desired:
            self._kept = (desired, self._compiler(desired))
        return self._kept[1]


def paced(steps: Sequence[Step], between: Callable[[], None], *, every: int) -> Iterator[Step]:
    """The steps; `between` is called before the first of each so many.

    And behind a slow one: somebody may have begun to write meanwhile, who must not be overwritten by what is old.
    """
    asked = float("-inf")
    for number, step in enumerate(steps):
        if number % every == 0 or time.monotonic() - asked > _SECONDS:
            between()
            asked = time.monotonic()
        yield step
