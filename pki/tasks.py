"""The wake-ups and the clockwork of the certificate authority."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from celery import shared_task
from django.db import Error as DatabaseFault

from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from kernel.services import Defer, Wake
from kernel.tasks import wakeup_task
from pki import queries, services
from pki.core.values import Issuer, IssuerKind, IssuerState

log = logging.getLogger(__name__)

BETWEEN_BUILDS = timedelta(seconds=2)
SECONDS_A_TURN = 8.0
PREPARING_SECONDS = 30.0


@wakeup_task("pki.publish_crl")
def publish_crl(wake: Wake) -> str:
    """Publishes the CRL of the issuer in the target `crl:<slug>`, at most one each two seconds."""
    issuer = queries.find_issuer(slug=wake.target.removeprefix("crl:"))
    newest, now = queries.crl_status(issuer=issuer.id), utc_now()
    if issuer.not_after <= now:
        return "the issuer has ended: nobody asks for its CRL"
    if issuer.kind is IssuerKind.OFFLINE:
        ordered = services.order_crl(issuer=issuer.id, now=now)
        return f"{ordered.purpose} waits for its signature" if ordered else "the newest CRL lists it"
    if newest and newest.is_due and newest.published_at <= now < newest.published_at + BETWEEN_BUILDS:
        raise Defer(until=newest.published_at + BETWEEN_BUILDS, detail="gathering revocations for one CRL")
    published = services.publish_crl(issuer=issuer.id, now=now)
    return f"CRL {published.number} lists {published.entries}"


@wakeup_task("pki.revoke_matching")
def revoke_matching(wake: Wake) -> str:
    """Revokes more of what the entry asks for, for some seconds; then it says how far it is, and goes on."""
    end = time.monotonic() + SECONDS_A_TURN
    progress = services.continue_revocation(order=wake.entry, now=utc_now(), may_go_on=lambda: time.monotonic() < end)
    told = f"{progress.revoked} of {progress.ordered} certificates revoked"
    if not progress.is_done:
        raise Defer(until=utc_now(), detail=told)
    return told


@wakeup_task("pki.confirm_revocation")
def confirm_revocation(wake: Wake) -> str:
    """Asks our own responder about each certificate that the entry revoked."""
    subject = wake.entry.subject
    holder = wake.entry.after.get("holder") or f"{subject.kind.rpartition('.')[2]}:{subject.id}"
    return services.confirm_revocation(holder=holder, now=utc_now())


@wakeup_task("pki.issue_part")
def issue_part(wake: Wake) -> str:
    """Issues for one part of a bulk issuance; the target is `part:<number>`."""
    return services.issue_part(order=wake.entry, part=int(wake.target.removeprefix("part:")), now=utc_now())


@shared_task(name="pki.refresh", ignore_result=True)
def refresh() -> None:
    """Hourly CRLs, OCSP signers ahead of their end, requests that were never stored, and issuers that have ended.

    For offline issuers it orders what they have to sign.
    """
    now = utc_now()
    services.abandon_unsigned(now=now)
    services.abandon_unclaimed(now=now)
    for issuer in queries.list_issuers(kinds=[IssuerKind.ONLINE, IssuerKind.OFFLINE]):
        if now < issuer.not_after and issuer.state is not IssuerState.RETIRED:
            _refresh(issuer, now=now)
    services.retire_ended_issuers(now=now)


def _refresh(issuer: Issuer, *, now: datetime) -> None:
    """One issuer; what fails is logged and tried again at the next call, and keeps no other issuer waiting."""
    here: tuple[Callable[..., object], ...] = (services.publish_crl, services.ensure_ocsp_signer)
    elsewhere: tuple[Callable[..., object], ...] = (services.order_crl, services.order_ocsp_signer)
    for keep in elsewhere if issuer.kind is IssuerKind.OFFLINE else here:
        try:
            keep(issuer=issuer.id, now=now)
        except (DomainError, DatabaseFault, RuntimeError):
            log.exception("%s of %s failed", keep.__name__, issuer.slug)


@shared_task(name="pki.hunt_weak_keys", ignore_result=True, acks_late=False)
def hunt_weak_keys() -> None:
    """Looks for weak keys among those that are new since the last time. Beat asks for it each day.

    It may run for minutes: if it were acknowledged at its end, the queue would hand it out again meanwhile.
    """
    services.hunt_weak_keys(actor=SYSTEM, now=utc_now())


@shared_task(name="pki.probe", ignore_result=True)
def probe() -> None:
    """Asks for our own CRL where relying parties do. Beat asks for it each minute."""
    services.probe_address(now=utc_now())


@shared_task(name="pki.prepare_ocsp", ignore_result=True)
def prepare_ocsp() -> None:
    """OCSP answers of issuers with many certificates, ahead of time; half a minute's work, and on at the next call."""
    began = time.monotonic()
    for issuer in queries.list_issuers():
        left = PREPARING_SECONDS - (time.monotonic() - began)
        if issuer.kind is IssuerKind.TRUSTED or left <= 0:
            continue
        try:
            services.prepare_ocsp_answers(issuer=issuer.id, now=utc_now(), seconds=left)
        except (DomainError, DatabaseFault, OSError):
            log.exception("OCSP of %s was not prepared", issuer.slug)
