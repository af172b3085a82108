"""What the console does behind a request: who made a domain gets into it, and what has ended is cleared away."""

from __future__ import annotations

from celery import shared_task

from console.services.clean_up import clear_ended
from console.services.domains import adopt_domain
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId
from kernel.services import Wake
from kernel.tasks import wakeup_task


@wakeup_task("console.adopt_domain")
def adopt(wake: Wake) -> str:
    """Makes the operator who created the domain its owner; lets in the application that did."""
    domain = wake.entry.domain
    if domain is None:
        return "the entry names no domain"
    return adopt_domain(domain=DomainId(domain), creator=wake.entry.actor, now=utc_now())


@shared_task(name="console.clean_up", ignore_result=True)
def clean_up() -> None:
    """Removes ended sessions, access tokens and setup links. Beat asks for it each hour."""
    clear_ended(now=utc_now())
