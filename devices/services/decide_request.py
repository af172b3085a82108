"""An operator's word on an enrolment that waits."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.values import EnrolmentRequestId, RequestState
from devices.models import EnrolmentRequest
from devices.services.grant_request import answer
from devices.services.write_request import let_go
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, NotFound
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


class UnknownRequest(NotFound):
    """There is no such enrolment request."""

    code = "enrolment-request-unknown"


class AlreadyDecided(Conflict):
    """Somebody decided it before."""

    code = "already-decided"


def approve_request(*, request: EnrolmentRequestId, actor: Actor, now: datetime) -> None:
    """The device gets its certificate the next time it asks. Repeating it is harmless. Raises AlreadyDecided."""
    row = _decide(request, RequestState.APPROVED, actor=actor, now=now)
    answer(row, now=now)


def deny_request(*, request: EnrolmentRequestId, actor: Actor, now: datetime) -> None:
    """The device is refused; its name is free, or registered ahead, again. Repeating is harmless.

    Raises AlreadyDecided.
    """
    _decide(request, RequestState.DENIED, actor=actor, now=now)


def _decide(request: EnrolmentRequestId, state: RequestState, *, actor: Actor, now: datetime) -> EnrolmentRequest:
    with transaction.atomic():
        rows = EnrolmentRequest.objects.select_for_update(of=("self",)).select_related("profile", "token", "device")
        row = rows.filter(id=request).first()
        if row is None:
            raise UnknownRequest("There is no such enrolment request.")
        if row.state == state or (row.state == RequestState.ISSUED and state == RequestState.APPROVED):
            return row
        if row.state != RequestState.PENDING:
            raise AlreadyDecided(f"The request is {row.state} already.")
        row.state = state
        row.save(update_fields=["state"])
        if state == RequestState.DENIED:
            let_go(row)
        record(
            action=f"devices.enrolment_request.{state.value}",
            subject=Subject(kind="devices.enrolment_request", id=str(row.id), label=row.name),
            actor=actor,
            now=now,
            domain=DomainId(row.profile.domain_id),
            before={"state": RequestState.PENDING.value},
            after={"state": state.value},
        )
    return row
