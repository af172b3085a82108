"""Certificates of CAs that never came about: signed, and then the process died, or another had the slug first."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from kernel.core.actor import SYSTEM
from kernel.core.errors import DomainError
from pki.core.values import CertificateId, CertificateState, ReasonCode
from pki.models import Certificate, Issuer
from pki.services.revoke_certificate import revoke_certificate

log = logging.getLogger(__name__)

UNCLAIMED_FOR = timedelta(minutes=10)


def abandon_unclaimed(*, now: datetime) -> list[CertificateId]:
    """Revokes each certificate for a CA of ours that became neither an issuer nor a cross-certificate."""
    domains = Issuer.objects.order_by().values_list("domain_id", flat=True).distinct()
    claimed = Issuer.objects.filter(parent=OuterRef("issuer"), serial=OuterRef("serial"))
    found = Certificate.objects.filter(
        ~Exists(claimed),
        domain_id__in=[*domains],
        profile="issuing-ca",
        holder__startswith="issuer:",
        state=CertificateState.ISSUED,
        crosscertificate=None,
        requested_at__lt=now - UNCLAIMED_FOR,
    )
    return [each for each in map(CertificateId, found.values_list("id", flat=True)) if _abandon(each, now=now)]


def _abandon(certificate: CertificateId, *, now: datetime) -> bool:
    try:
        note = "signed for a CA that never came about"
        revoke_certificate(
            certificate=certificate, reason=ReasonCode.CESSATION_OF_OPERATION, actor=SYSTEM, now=now, note=note
        )
    except DomainError:
        log.exception("the certificate %s could not be given up", certificate)
        return False
    return True
