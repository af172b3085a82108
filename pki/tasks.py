"""The wake-ups and the clockwork of the certificate authority."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from kernel.core.clock import utc_now
from kernel.services import Defer, Wake
from kernel.tasks import wakeup_task
from pki import queries, services

BETWEEN_BUILDS = timedelta(seconds=2)


@wakeup_task("pki.publish_crl")
def publish_crl(wake: Wake) -> str:
    """Publishes the CRL of the issuer in the target `crl:<slug>`, at most one each two seconds."""
    issuer = queries.find_issuer(slug=wake.target.removeprefix("crl:"))
    newest, now = queries.latest_crl(issuer=issuer.id), utc_now()
    if newest and queries.crl_is_due(issuer=issuer.id) and newest.this_update + BETWEEN_BUILDS > now:
        raise Defer(until=newest.this_update + BETWEEN_BUILDS, detail="gathering revocations for one CRL")
    published = services.publish_crl(issuer=issuer.id, now=now)
    return f"CRL {published.number} lists {published.entries}"


@wakeup_task("pki.confirm_revocation")
def confirm_revocation(wake: Wake) -> str:
    """Asks our own responder about each certificate that the entry revoked."""
    subject = wake.entry.subject
    holder = wake.entry.after.get("holder") or f"{subject.kind.rpartition('.')[2]}:{subject.id}"
    return services.confirm_revocation(holder=holder, now=utc_now())


@shared_task(name="pki.refresh", ignore_result=True)
def refresh() -> None:
    """Hourly CRLs, OCSP signers ahead of their end, and requests that were never stored."""
    now = utc_now()
    services.abandon_unsigned(now=now)
    for issuer in queries.list_issuers():
        services.publish_crl(issuer=issuer.id, now=now)
        services.ensure_ocsp_signer(issuer=issuer.id, now=now)
