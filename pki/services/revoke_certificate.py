"""Revoking, holding and releasing: the row, its CRL entry and the journal change together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction

from kernel import queries as journal
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError, Invalid
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Change, Subject
from kernel.services import record_many
from pki.core.crl import encode_entry
from pki.core.values import CertificateId, CertificateState, ReasonCode, Revocation, SerialNumber
from pki.models import Certificate, Issuer
from pki.queries import UnknownCertificate

_SUBJECT = "pki.certificate"
_CHANGED = (
    "state", "revoked_at", "reason", "note", "invalidity_date", "crl_entry", "changed_revision", "changed_at",
    "operation",
)  # fmt: skip


class BadReason(Invalid):
    """The reason can not be given for a revocation."""

    code = "revocation-reason"


class BadInvalidityDate(Invalid):
    """The key can not have been lost at that time."""

    code = "invalidity-date"


class NotHeld(Conflict):
    """Only a certificate on hold can be released."""

    code = "certificate-not-held"


class NotIssued(Conflict):
    """The certificate is not signed yet."""

    code = "certificate-not-issued"


def revoke_certificate(
    *,
    certificate: CertificateId,
    reason: ReasonCode,
    actor: Actor,
    now: datetime,
    note: str = "",
    invalidity_date: datetime | None = None,
) -> Revocation:
    """The revocation, new or as it stands already; a certificate on hold may be revoked for good.

    `invalidity_date` is since when its key is known or feared to be in other hands (5280 5.3.2). May be called in a
    transaction. Raises BadReason, BadInvalidityDate, UnknownCertificate.
    """
    check_revocation(reason=reason, invalidity_date=invalidity_date, now=now)
    with transaction.atomic():
        row = lock_certificate(certificate)
        if row.state == CertificateState.REVOKED:
            return _revocation(row, operation=_operation_of(row))
        operation = revoke_row(row, reason=reason, actor=actor, now=now, note=note, invalidity_date=invalidity_date)
        return _revocation(row, operation=operation)


def check_revocation(*, reason: ReasonCode, invalidity_date: datetime | None, now: datetime) -> None:
    """Raises BadReason or BadInvalidityDate for what no certificate can be revoked with."""
    if reason in {ReasonCode.REMOVE_FROM_CRL, ReasonCode.CERTIFICATE_HOLD}:
        raise BadReason(f"{reason} is no reason to revoke for good: hold or release the certificate instead.")
    if invalidity_date is not None and invalidity_date > now:
        fault = FieldError(pointer="/invalidity_date", code=BadInvalidityDate.code, detail="Give a time that is past.")
        raise BadInvalidityDate("The invalidity date lies in the future: a key is lost before now.", errors=(fault,))


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
    """The operation that takes the certificate off hold. Raises NotHeld, UnknownCertificate.

    Deltas say removeFromCRL of it, since peers may hold a CRL that lists the hold (5280 5.2.4).
    """
    with transaction.atomic():
        row = lock_certificate(certificate)
        if row.state != CertificateState.HELD:
            raise NotHeld("The certificate is not on hold: a revocation for another reason is for ever.")
        row.state, row.revoked_at, row.reason = CertificateState.ISSUED, None, ""
        row.crl_entry = encode_entry(serial=int(row.serial, 16), revoked_at=now, reason=ReasonCode.REMOVE_FROM_CRL)
        return _save(row, verb="released", actor=actor, now=now, note=note)


def revoke_row(
    row: Certificate,
    *,
    reason: ReasonCode,
    actor: Actor,
    now: datetime,
    note: str,
    invalidity_date: datetime | None = None,
) -> EntryId:
    """Revokes a locked row within the caller's transaction."""
    _revoke(row, reason=reason, now=now, note=note, invalidity_date=invalidity_date)
    return _save(row, verb=row.state, actor=actor, now=now, note=note)


def revoke_rows(
    rows: Sequence[Certificate],
    *,
    reason: ReasonCode,
    actor: Actor,
    now: datetime,
    note: str,
    invalidity_date: datetime | None,
    operation: EntryId,
) -> None:
    """Revokes locked rows of one issuer, which is locked too, as a part of `operation`; an entry for each."""
    for row in rows:
        _revoke(row, reason=reason, now=now, note=note, invalidity_date=invalidity_date)
        row.issuer.revision += 1
        row.changed_revision, row.changed_at, row.operation = row.issuer.revision, now, operation
    if rows:
        rows[0].issuer.save(update_fields=["revision"])
        Certificate.objects.bulk_update(rows, _CHANGED)
    changes = [_change(row, verb=row.state, note=note, more={"bulk": str(operation)}) for row in rows]
    record_many(changes=changes, actor=actor, now=now)


def _revoke(
    row: Certificate, *, reason: ReasonCode, now: datetime, note: str, invalidity_date: datetime | None
) -> None:
    """What was on hold keeps the date of the hold, since it was not valid from then on (X.509 8.5.2)."""
    if row.state != CertificateState.HELD or row.revoked_at is None:
        row.revoked_at = now.replace(microsecond=0)
    row.state = CertificateState.HELD if reason is ReasonCode.CERTIFICATE_HOLD else CertificateState.REVOKED
    row.reason, row.note = reason, note
    row.invalidity_date = invalidity_date.replace(microsecond=0) if invalidity_date else None
    row.crl_entry = encode_entry(
        serial=int(row.serial, 16),
        revoked_at=row.revoked_at,
        reason=reason,
        invalidity_date=row.invalidity_date,
    )


def lock_certificate(certificate: CertificateId) -> Certificate:
    """The row, locked behind its issuer's, which a revocation changes too: so that none waits crosswise."""
    issuer_id = Certificate.objects.filter(id=certificate).values_list("issuer_id", flat=True).first()
    if issuer_id is None:
        raise UnknownCertificate("There is no such certificate.")
    issuer = Issuer.objects.select_for_update(no_key=True).get(id=issuer_id)
    row = Certificate.objects.select_for_update(no_key=True).defer("der").get(id=certificate)
    row.issuer = issuer
    return row


def _save(row: Certificate, *, verb: str, actor: Actor, now: datetime, note: str) -> EntryId:
    row.issuer.revision += 1  # locked
    row.issuer.save(update_fields=["revision"])
    row.changed_revision, row.changed_at = row.issuer.revision, now
    [entry] = record_many(changes=[_change(row, verb=verb, note=note)], actor=actor, now=now)
    row.operation = entry.id
    row.save(update_fields=_CHANGED)
    return entry.id


def _change(row: Certificate, *, verb: str, note: str, more: Mapping[str, str] | None = None) -> Change:
    """What the journal keeps of it."""
    since = {"invalidity_date": row.invalidity_date.isoformat()} if row.invalidity_date else {}
    return Change(
        action=f"{_SUBJECT}.{verb}",
        subject=Subject(kind=_SUBJECT, id=str(row.id), label=row.serial),
        domain=DomainId(row.domain_id),
        after={
            "issuer": str(row.issuer_id),
            "issuer_slug": row.issuer.slug,
            "serial": row.serial,
            "holder": row.holder,
            "reason": row.reason,
            **since,
            **(more or {}),
        },
        note=note,
    )


def _operation_of(row: Certificate) -> EntryId:
    """The entry that brought the row where it is; of one that a CA brought along, the newest about that CA."""
    if row.operation is not None:
        return EntryId(row.operation)
    [entry] = journal.list_entries(subject_kind="pki.issuer", subject_id=str(row.issuer_id), limit=1)
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
