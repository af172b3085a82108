"""An operation as it happens: each broker's answer, OCSP and CRL, with the time that each took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from console.views.frame import NotHere, Visit, screen, show
from console.views.journal import happened
from kernel.core.ids import EntryId
from kernel.core.journal import StepState
from kernel.queries import Operation, OperationStep, find_operation


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One consequence for people; `name` says who has to obey."""

    name: str
    state: str
    elapsed_ms: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The panel of an operation. While `open`, the page asks again every half second."""

    id: EntryId
    title: str
    state: str
    started_at: datetime
    open: bool
    steps: tuple[StepRow, ...]


def panel_of(operation: Operation) -> Panel:
    """The operation for people."""
    return Panel(
        id=operation.id,
        title=happened(operation.action),
        state=operation.state.value,
        started_at=operation.started_at,
        open=operation.state in {StepState.PENDING, StepState.RUNNING},
        steps=tuple(map(_row, operation.steps)),
    )


def _row(step: OperationStep) -> StepRow:
    kind, _, name = step.target.partition(":")
    names = {"broker": f"Broker {name}", "crl": f"CRL of {name}", "ocsp": "OCSP"}
    return StepRow(
        name=names.get(kind, step.target),
        state=step.state.value,
        elapsed_ms=step.elapsed_ms,
        detail=step.detail,
    )


def find_panel(visit: Visit, text: str) -> Panel | None:
    """The panel of the operation with that id, if it belongs to a domain of the visit; else None."""
    try:
        found = find_operation(operation=EntryId(UUID(text)))
    except ValueError:
        return None
    if found is None or found.domain is None or not visit.caller.may_see(found.domain):
        return None
    return panel_of(found)


@require_safe
@screen("operations:read")
def show_operation(request: HttpRequest, visit: Visit, operation: UUID) -> HttpResponseBase:
    """A page with the panel alone."""
    return show(request, "operation.html", {"panel": _panel(visit, operation)})


@require_safe
@screen("operations:read")
def show_panel(request: HttpRequest, visit: Visit, operation: UUID) -> HttpResponseBase:
    """The panel, for a page that has it already; once all is over, the rest of that page is told to catch up."""
    panel = _panel(visit, operation)
    response = show(request, "parts/operation.html", {"panel": panel})
    if not panel.open:
        response.headers["HX-Trigger"] = "settled"
    return response


def _panel(visit: Visit, operation: UUID) -> Panel:
    panel = find_panel(visit, str(operation))
    if panel is None:
        raise NotHere("There is no such operation, or it belongs to a domain that is not yours.")
    return panel
