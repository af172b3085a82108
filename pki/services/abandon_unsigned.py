"""Giving up requests that were never stored, so that nothing signed goes without a record."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction

from kernel.core.actor import SYSTEM
from kernel.core.errors import DomainError
from pki.core.values import CertificateId, CertificateState, ReasonCode
from pki.models import Certificate, SigningRequest
from pki.services.revoke_certificate import lock_certificate, revoke_row

log = logging.getLogger(__name__)

UNSIGNED_FOR = timedelta(minutes=10)


def abandon_unsigned(*, now: datetime) -> list[CertificateId]:
    """Revokes what was requested long ago and never stored: it may have been signed before a crash.

    What an offline issuer is asked to sign is left alone until the request is cancelled.
    """
    found = Certificate.objects.filter(state=CertificateState.REQUESTED, requested_at__lt=now - UNSIGNED_FOR)
    waiting = SigningRequest.objects.filter(certificate__isnull=False, closed_at=None)
    found = found.exclude(id__in=waiting.values("certificate_id"))
    return [
        each for each in map(CertificateId, found.order_by("id").values_list("id", flat=True)) if _abandon(each, now)
    ]


def _abandon(certificate: CertificateId, now: datetime) -> bool:
    """Whether it was revoked; one that can not be is logged, and keeps nobody else waiting."""
    try:
        with transaction.atomic():
            row = lock_certificate(certificate)
            if row.state != CertificateState.REQUESTED:
                return False
            revoke_row(row, reason=ReasonCode.SUPERSEDED, actor=SYSTEM, now=now, note="never stored after signing")
    except DomainError:
        log.exception("the request %s could not be given up", certificate)
        return False
    return True
