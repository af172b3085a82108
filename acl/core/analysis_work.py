"""How much work an answer may take: whoever runs out says less exactly what is so, and says that too."""

from __future__ import annotations

_MOST_STEPS = 150_000


class Work:
    """So many steps, a comparison of two filters each. Once it has run out it stays so; the rest is told coarser."""

    __slots__ = ("_left", "has_run_out")

    def __init__(self, steps: int = _MOST_STEPS) -> None:
        self._left = steps
        self.has_run_out = False

    def spend(self, steps: int) -> bool:
        """Whether so many steps may be done; they count as done."""
        self._left -= steps
        if self._left < 0:
            self.has_run_out = True
        return not self.has_run_out
