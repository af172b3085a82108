"""Orders to offline issuers: how they are written down and given up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.issuer_values import SigningKind
from pki.core.values import IssuerKind, KeyId
from pki.models import Issuer, IssuerRequest, SigningRequest
from pki.queries.issuer_requests import UnknownSigningRequest
from pki.services.custody import custody as keys
from pki.services.issuers.certifying import Draft


class NotOffline(Conflict):
    """The issuer signs here, or is another's."""

    code = "issuer-not-offline"


def cancel_signing_request(*, id: UUID, actor: Actor, now: datetime) -> None:
    """Gives the request up with the key that it was for; the clock revokes the certificate, in case it was signed.

    Not to be called in a transaction. Raises UnknownSigningRequest.
    """
    with transaction.atomic():
        rows = SigningRequest.objects.select_for_update(of=("self",)).select_related("issuer", "becomes")
        row = rows.filter(id=id, closed_at=None).first()
        if row is None:
            raise UnknownSigningRequest("There is no such signing request that is open still.")
        key = row.becomes.key_id if row.becomes else row.key_id
        row.closed_at, row.key = now, None
        row.save(update_fields=["closed_at", "key"])
        if row.becomes:
            row.becomes.delete()
        _record(row, "pki.signing_request.cancelled", actor=actor, now=now)
    if key:
        keys.destroy(KeyId(key))


def offline(row: Issuer) -> Issuer:
    """The row, if it is offline. Raises NotOffline."""
    if row.kind != IssuerKind.OFFLINE:
        raise NotOffline(f"The issuer {row.slug} is {row.kind}: only what is offline signs by files.")
    return row


def order_certificate(
    signer: Issuer,
    draft: Draft,
    *,
    purpose: str,
    becomes: IssuerRequest | None = None,
    key: KeyId | None = None,
    actor: Actor,
    now: datetime,
) -> SigningRequest:
    """Writes the draft's row and its order, in the caller's transaction."""
    draft.row.save(force_insert=True)
    return store_order(
        SigningRequest(
            issuer=signer,
            kind=SigningKind.CERTIFICATE,
            to_be_signed=draft.linted.tbs_certificate_bytes,
            purpose=purpose,
            certificate=draft.row,
            becomes=becomes,
            key_id=key,
        ),
        actor=actor,
        now=now,
    )


def store_order(row: SigningRequest, *, actor: Actor, now: datetime) -> SigningRequest:
    """Writes the order down, in the caller's transaction."""
    row.id, row.created_at = new_id(), now
    row.save(force_insert=True)
    _record(row, "pki.signing_request.created", actor=actor, now=now)
    return row


def _record(row: SigningRequest, action: str, *, actor: Actor, now: datetime) -> None:
    record(
        action=action,
        subject=Subject(kind="pki.signing_request", id=str(row.id), label=row.issuer.slug),
        actor=actor,
        now=now,
        domain=DomainId(row.issuer.domain_id),
        after={"issuer_slug": row.issuer.slug, "kind": row.kind, "purpose": row.purpose},
    )
