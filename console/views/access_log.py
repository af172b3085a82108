"""The access log: who connected, who was refused or denied, newest first and live; and its daily files."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from brokers import queries
from brokers.core.access.reasons import AccessAction
from brokers.core.values import AccessEvent, AccessKind
from brokers.queries import LogFilter
from console.views.access_words import what_happened, why_it_did
from console.views.frame import Visit, screen, show
from console.views.paging import Place, place_of
from devices.queries import UnknownDevice, find_principal_by_name

_FILES_SHOWN = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """A line for people."""

    event: AccessEvent
    what: str
    why: str


@require_safe
@screen("access-log:read")
def show_access_log(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The lines of the domain. The first page comes anew every few seconds."""
    place = place_of(request, "device", "broker", "kind", "action")
    context: dict[str, object] = {
        "filters": place.filters,
        "kinds": [kind for kind in AccessKind if kind is not AccessKind.STARTED],
        "actions": list(AccessAction),
        "brokers": [broker.name for broker in queries.list_brokers(domains=[visit.domain.id])],
        "files": queries.list_access_files(domain=visit.domain.slug)[:_FILES_SHOWN],
        "live": place.key is None,
    }
    try:
        narrowed = _narrowed(place, visit)
    except UnknownDevice as error:
        return show(request, "access_log.html", {**context, "fault": error.detail, "narrowed": True})
    found = queries.list_events(
        domains=[visit.domain.id], narrowed=narrowed, before=place.number_key(), limit=place.size + 1
    )
    shown = found[: place.size]
    more = [shown[-1].id] if len(found) > place.size else None
    context |= {
        "rows": [LineRow(event=each, what=what_happened(each), why=why_it_did(each)) for each in shown],
        "narrowed": narrowed != LogFilter(broker=narrowed.broker),
        "pager": place.pager(shown=len(shown), next_key=more, noun="lines"),
    }
    return show(request, "access_log.html", context)


@require_safe
@screen("access-log:read")
def download_access_file(request: HttpRequest, visit: Visit, day: str) -> HttpResponseBase:  # noqa: ARG001
    """The file of that day."""
    file = queries.find_access_file(domain=visit.domain.slug, day=day)
    headers = {"Content-Length": str(file.octets), "Content-Disposition": f'attachment; filename="{file.name}"'}
    return StreamingHttpResponse(queries.read_access_file(file), content_type="application/gzip", headers=headers)


def _narrowed(place: Place, visit: Visit) -> LogFilter:
    """What the filters ask for; a word that is none of the choices narrows nothing. Raises UnknownDevice."""
    asked = place.filters
    device = None
    if asked["device"]:
        device = find_principal_by_name(domain=visit.domain.id, name=asked["device"])
        if device is None:
            raise UnknownDevice(f"There is no device {asked['device'][:64]} in {visit.domain.slug}.")
    return LogFilter(
        device=device.id if device else None,
        broker=asked["broker"] or None,
        kind=AccessKind(asked["kind"]) if asked["kind"] in set(AccessKind) else None,
        action=AccessAction(asked["action"]) if asked["action"] in set(AccessAction) else None,
    )
