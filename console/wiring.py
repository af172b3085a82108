"""The only registries: which tasks follow an event, and which class stands behind an adapter's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kernel.core.journal import Entry, Step

ROUTES: Mapping[str, Callable[[Entry], Sequence[Step]]] = {}


class WiringRouter:
    """Hands each entry to the route of its action; an action without a route has no consequence."""

    def steps_for(self, entry: Entry) -> Sequence[Step]:
        route = ROUTES.get(entry.action)
        return route(entry) if route else ()


router = WiringRouter()
