"""A router for the tests of pki: nothing follows from its entries here, since the apps above are not at work."""

from __future__ import annotations

from collections.abc import Sequence

from kernel.core.journal import Entry, Step


class NoRouter:
    """Knows no consequence."""

    def steps_for(self, entry: Entry) -> Sequence[Step]:
        """None."""
        del entry
        return ()


router = NoRouter()
