"""What adapters that write policy do alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

from brokers.core.ports import DesiredState
from kernel.core.errors import Conflict

_SECONDS = 2.0

Compiled = TypeVar("Compiled")
Each = TypeVar("Each")


class Latest(Generic[Compiled]):
    """A compiler that keeps what the last desired state came to: it is asked for by render, plan and effect."""

    def __init__(self, compiler: Callable[[DesiredState], Compiled]) -> None:
        self._compiler = compiler
        self._kept: tuple[DesiredState, Compiled] | None = None

    def __call__(self, desired: DesiredState) -> Compiled:
        if self._kept is None or self._kept[0] is not desired:
            self._kept = (desired, self._compiler(desired))
        return self._kept[1]


class Refusals:
    """The context of a batch in which one step that is refused keeps no other from being made.

    The first refusal is raised at the end of the batch; what ends the batch itself is raised at once.
    """

    def __init__(self) -> None:
        self._first: Conflict | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._first is not None:
            raise self._first

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The context of one step."""
        try:
            yield
        except Conflict as error:
            self._first = self._first or error


def paced(steps: Sequence[Each], between: Callable[[], None], *, every: int) -> Iterator[Each]:
    """The steps; `between` is called before the first of each so many.

    And behind a slow one: somebody may have begun to write meanwhile, who must not be overwritten by what is old.
    """
    asked = float("-inf")
    for number, step in enumerate(steps):
        if number % every == 0 or time.monotonic() - asked > _SECONDS:
            between()
            asked = time.monotonic()
        yield step
