"""Who is connected where, as the brokers tell."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from brokers import queries
from brokers.core.values import Session
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
        "sessions": shown,
        "count": queries.count_sessions(broker=chosen.id) if chosen else 0,
        "pager": place.pager(shown=len(shown), next_key=more, noun="sessions"),
    }
    return show(request, "sessions.html", context)


def _after(place: Place) -> tuple[str, str] | None:
    match place.key:
        case None:
            return None
        case [str(auth_id), str(client_id)]:
            return auth_id, client_id
    raise DamagedPlace
