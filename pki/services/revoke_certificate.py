"""Revoking, holding and releasing: the row, its CRL entry and the journal change together."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid, NotFound
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.crl import encode_entry
from pki.core.values import CertificateId, CertificateState, ReasonCode, Revocation, SerialNumber
from pki.models import Certificate, Issuer


class UnknownCertificate(NotFound):
    """There is no such certificate."""

    code = "certificate-unknown"


class BadReason(Invalid):
    """The reason can not be given for a revocation."""

    code = "revocation-reason"


class NotHeld(Conflict):
    """Only a certificate on hold can be released."""

    code = "certificate-not-held"


def revoke_certificate(
    *, certificate: CertificateId, reason: ReasonCode, actor: Actor, now: datetime, note: str = ""
) -> Revocation:
    """The revocation, new or as it stands already; a certificate on hold may be revoked for good."""
    if reason in {ReasonCode.REMOVE_FROM_CRL, ReasonCode.CERTIFICATE_HOLD}:
        raise BadReason(f"{reason} is no reason to revoke for good: hold or release the certificate instead.")
    with transaction.atomic():
        row = _lock(certificate)
        if row.state != CertificateState.REVOKED:
            revoke_row(row, reason=reason, actor=actor, now=now, note=note)
    return _value(row)


def hold_certificate(*, certificate: CertificateId, actor: Actor, now: datetime, note: str = "") -> Revocation:
    """Puts the certificate on hold: revoked until it is released."""
    with transaction.atomic():
        row = _lock(certificate)
        if row.state not in {CertificateState.REVOKED, CertificateState.HELD}:
            revoke_row(row, reason=ReasonCode.CERTIFICATE_HOLD, actor=actor, now=now, note=note)
    return _value(row)


def release_certificate(*, certificate: CertificateId, actor: Actor, now: datetime, note: str = "") -> None:
    """Takes the certificate off hold. Raises NotHeld."""
    with transaction.atomic():
        row = _lock(certificate)
        if row.state != CertificateState.HELD:
            raise NotHeld("The certificate is not on hold: a revocation for another reason is for ever.")
        row.state, row.revoked_at, row.reason, row.crl_entry = CertificateState.ISSUED, None, "", None
        _save(row, action="pki.certificate.released", actor=actor, now=now, note=note)


def revoke_row(row: Certificate, *, reason: ReasonCode, actor: Actor, now: datetime, note: str) -> None:
    """Revokes a locked row within the caller's transaction."""
    held = reason is ReasonCode.CERTIFICATE_HOLD
    row.state = CertificateState.HELD if held else CertificateState.REVOKED
    row.revoked_at, row.reason, row.note = now.replace(microsecond=0), reason, note
    row.crl_entry = encode_entry(serial=int(row.serial, 16), revoked_at=row.revoked_at, reason=reason)
    _save(row, action=f"pki.certificate.{row.state}", actor=actor, now=now, note=note)


def _lock(certificate: CertificateId) -> Certificate:
    row = Certificate.objects.select_for_update(of=("self",)).select_related("issuer").filter(id=certificate).first()
    if row is None:
        raise UnknownCertificate("There is no such certificate.")
    return row


def _save(row: Certificate, *, action: str, actor: Actor, now: datetime, note: str) -> None:
    row.save()
    Issuer.objects.filter(id=row.issuer_id).update(revision=F("revision") + 1)
    record(
        action=action,
        subject=Subject(kind="pki.certificate", id=str(row.id), label=row.serial),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after={
            "issuer": str(row.issuer_id),
            "issuer_slug": row.issuer.slug,
            "serial": row.serial,
            "holder": row.holder,
            "reason": row.reason,
        },
        note=note,
    )


def _value(row: Certificate) -> Revocation:
    assert row.revoked_at is not None
    return Revocation(
        certificate=CertificateId(row.id),
        serial=SerialNumber(int(row.serial, 16)),
        revoked_at=row.revoked_at,
        reason=ReasonCode(row.reason),
    )
