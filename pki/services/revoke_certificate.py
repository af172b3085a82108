"""Revoking, holding and releasing: the row, its CRL entry and the journal change together."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kernel import queries as journal
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Entry, Subject
from kernel.services import record
from pki.core.crl import encode_entry
from pki.core.values import CertificateId, CertificateState, ReasonCode, Revocation, SerialNumber
from pki.models import Certificate, Issuer
from pki.queries import UnknownCertificate

_SUBJECT = "pki.certificate"


class BadReason(Invalid):
    """The reason can not be given for a revocation."""

    code = "revocation-reason"


class NotHeld(Conflict):
    """Only a certificate on hold can be released."""

    code = "certificate-not-held"


class NotIssued(Conflict):
    """The certificate is not signed yet."""

    code = "certificate-not-issued"


def revoke_certificate(
    *, certificate: CertificateId, reason: ReasonCode, actor: Actor, now: datetime, note: str = ""
) -> Revocation:
    """The revocation, new or as it stands already; a certificate on hold may be revoked for good.

    May be called in a transaction. Raises BadReason, UnknownCertificate.
    """
    if reason in {ReasonCode.REMOVE_FROM_CRL, ReasonCode.CERTIFICATE_HOLD}:
        raise BadReason(f"{reason} is no reason to revoke for good: hold or release the certificate instead.")
    with transaction.atomic():
        row = lock_certificate(certificate)
        if row.state == CertificateState.REVOKED:
            return _revocation(row, operation=_operation_of(row))
        return _revocation(row, operation=revoke_row(row, reason=reason, actor=actor, now=now, note=note))


def hold_certificate(*, certificate: CertificateId, actor: Actor, now: datetime, note: str = "") -> Revocation:
    """Puts the certificate on hold: revoked until it is released. Raises NotIssued, UnknownCertificate."""
    with transaction.atomic():
        row = lock_certificate(certificate)
        if row.state in {CertificateState.REVOKED, CertificateState.HELD}:
            return _revocation(row, operation=_operation_of(row))
        if row.state != CertificateState.ISSUED:
            raise NotIssued("The certificate is being signed: hold it in a moment, or revoke it.")
        hold = ReasonCode.CERTIFICATE_HOLD
        return _revocation(row, operation=revoke_row(row, reason=hold, actor=actor, now=now, note=note))


def release_certificate(*, certificate: CertificateId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation that takes the certificate off hold. Raises NotHeld, UnknownCertificate."""
    with transaction.atomic():
        row = lock_certificate(certificate)
        if row.state != CertificateState.HELD:
            raise NotHeld("The certificate is not on hold: a revocation for another reason is for ever.")
        row.state, row.revoked_at, row.reason, row.crl_entry = CertificateState.ISSUED, None, "", None
        return _save(row, verb="released", actor=actor, now=now, note=note).id


def revoke_row(row: Certificate, *, reason: ReasonCode, actor: Actor, now: datetime, note: str) -> EntryId:
    """Revokes a locked row within the caller's transaction."""
    held = reason is ReasonCode.CERTIFICATE_HOLD
    row.state = CertificateState.HELD if held else CertificateState.REVOKED
    row.revoked_at, row.reason, row.note = now.replace(microsecond=0), reason, note
    row.crl_entry = encode_entry(serial=int(row.serial, 16), revoked_at=row.revoked_at, reason=reason)
    return _save(row, verb=row.state, actor=actor, now=now, note=note).id


def lock_certificate(certificate: CertificateId) -> Certificate:
    """The row, locked behind its issuer's, which a revocation changes too: so that none waits crosswise."""
    issuer_id = Certificate.objects.filter(id=certificate).values_list("issuer_id", flat=True).first()
    if issuer_id is None:
        raise UnknownCertificate("There is no such certificate.")
    issuer = Issuer.objects.select_for_update(no_key=True).get(id=issuer_id)
    row = Certificate.objects.select_for_update(no_key=True).defer("der").get(id=certificate)
    row.issuer = issuer
    return row


def _save(row: Certificate, *, verb: str, actor: Actor, now: datetime, note: str) -> Entry:
    row.issuer.revision += 1  # locked
    row.issuer.save(update_fields=["revision"])
    row.changed_revision = row.issuer.revision
    row.save(update_fields=["state", "revoked_at", "reason", "note", "crl_entry", "changed_revision"])
    return record(
        action=f"{_SUBJECT}.{verb}",
        subject=Subject(kind=_SUBJECT, id=str(row.id), label=row.serial),
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


def _operation_of(row: Certificate) -> EntryId:
    """The entry that brought the row where it is."""
    [entry] = journal.list_entries(subject_kind=_SUBJECT, subject_id=str(row.id), limit=1)
    return entry.id


def _revocation(row: Certificate, *, operation: EntryId) -> Revocation:
    assert row.revoked_at is not None
    return Revocation(
        certificate=CertificateId(row.id),
        serial=SerialNumber(int(row.serial, 16)),
        revoked_at=row.revoked_at,
        reason=ReasonCode(row.reason),
        operation=operation,
    )
