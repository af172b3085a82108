"""The overview: real counts, each a link to its list, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from brokers.queries import refusals_in
from console.views.bars import Column, columns
from console.views.brokers import broker_rows
from console.views.frame import Visit, screen, show
from console.views.issuers import issuer_rows
from console.views.journal import entry_row
from devices.core.values import DeviceState
from devices.queries import count_by_state, count_ending_by_week
from kernel.queries import list_entries

_WEEKS = 12
_WIDTH, _HEIGHT = 360, 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and the list behind it."""

    state: str
    count: int
    address: str


@require_safe
@screen("devices:read")
def show_overview(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain at a glance."""
    domain = visit.domain.id
    weeks = _weeks(visit)
    figures = list(_figures(visit))
    context = {
        "figures": figures,
        "total": sum(figure.count for figure in figures),
        "brokers": broker_rows(visit) if visit.may("brokers:read") else [],
        "issuers": issuer_rows(domain) if visit.may("issuers:read") else [],
        "weeks": weeks,
        "ending": sum(week.value for week in weeks),
        "width": _WIDTH,
        "height": _HEIGHT,
        "entries": [entry_row(entry) for entry in list_entries(domain=domain, limit=8)]
        if visit.may("journal:read")
        else [],
        "refusals": refusals_in(domains=[domain]) if visit.may("access-log:read") else [],
        "may_enrol": visit.may("enrolment-tokens:write"),
    }
    return show(request, "overview.html", context)


def _figures(visit: Visit) -> Iterator[Figure]:
    counts = count_by_state(domains=[visit.domain.id])
    for state in DeviceState:
        if counts[state] or state is DeviceState.ACTIVE:
            address = f"{reverse('devices')}?state={state.value}"
            yield Figure(state=state.value, count=counts[state], address=address)


def _weeks(visit: Visit) -> list[Column]:
    """How many device certificates end in each of the next twelve weeks; the label is the Monday that begins it."""
    today = visit.now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    counted = count_ending_by_week(domains=[visit.domain.id], begin=visit.now, by=monday + timedelta(weeks=_WEEKS))
    weeks = [monday + timedelta(weeks=week) for week in range(_WEEKS)]
    values = [(week.strftime("%-d %b"), counted.get(week, 0)) for week in weeks]
    return columns(values, width=_WIDTH, height=_HEIGHT)
