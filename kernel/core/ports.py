"""What the kernel asks of those above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kernel.core.journal import Entry, Step


class Router(Protocol):
    """Knows the consequences of an entry. Called inside the writer's transaction: reads only, and little."""

    def steps_for(self, entry: Entry) -> Sequence[Step]:
        """The steps that this entry asks for."""
        ...
