"""Who is connected where, as the brokers tell."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from brokers import queries
from brokers.core.kind_facts import FACTS
from brokers.core.values import Broker, Session, SyncState
from console.views.disconnecting import endable
from console.views.frame import Visit, screen, show
from console.views.paging import DamagedPlace, Place, place_of


@require_safe
@screen("brokers:read")
def list_sessions(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The sessions of one broker, by device; of the first one if none is asked for."""
    brokers = queries.list_brokers(domains=[visit.domain.id])
    place = place_of(request, "broker")
    chosen = next((broker for broker in brokers if broker.name == place.filters["broker"]), None)
    chosen = chosen or next(iter(brokers), None)
    found: list[Session] = []
    if chosen is not None:
        found = queries.sessions_on(broker=chosen.id, after=_after(place), limit=place.size + 1)
    shown = found[: place.size]
    more = [shown[-1].auth_id, shown[-1].client_id] if len(found) > place.size else None
    context = {
        "brokers": brokers,
        "chosen": chosen,
        "live": chosen is not None and place.key is None,
        "silence": silence_of(chosen) if chosen else "",
        "sessions": shown,
        "endable": endable(visit, chosen, shown) if chosen else frozenset(),
        "count": queries.count_sessions(broker=chosen.id) if chosen else 0,
        "pager": place.pager(shown=len(shown), next_key=more, noun="sessions"),
    }
    return show(request, "sessions.html", context)


def silence_of(broker: Broker) -> str:
    """What it means that no session is known there."""
    told = FACTS[broker.kind].presence
    if told.startswith("not told"):
        return f"Such a broker tells nobody who is connected ({told}): {broker.name} may have sessions all the same."
    if broker.sync is SyncState.UNREACHABLE:
        return f"{broker.name} does not answer, so nobody knows who is connected."
    return f"Nobody is connected to {broker.name}, as far as it tells. Who connects appears here at once."


def _after(place: Place) -> tuple[str, str] | None:
    match place.key:
        case None:
            return None
        case [str(auth_id), str(client_id)]:
            return auth_id, client_id
    raise DamagedPlace
