"""Revoking an issuer: its certificates at those above it, and with them everything below it, in effect."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from pki.core.values import CertificateId, CertificateState, IssuerId, IssuerKind, IssuerState, ReasonCode
from pki.core.values import Issuer as IssuerValue
from pki.models import Certificate, Issuer
from pki.queries import find_issuer
from pki.queries.issuers import ISSUERS, UnknownIssuer
from pki.services.issuers.storing import record_about
from pki.services.revoke_certificate import BadReason, revoke_certificate

_TAKEN = (CertificateState.REQUESTED, CertificateState.ISSUED, CertificateState.HELD)


class NotConfirmed(Conflict):
    """It was not said again which root is no longer trusted."""

    code = "issuer-not-confirmed"


def revoke_issuer(
    *,
    issuer: IssuerId,
    reason: ReasonCode = ReasonCode.CA_COMPROMISE,
    confirmed: str = "",
    actor: Actor,
    now: datetime,
    note: str = "",
) -> IssuerValue:
    """The issuer, revoked for good: it and all below it leave the trust bundle, and their certificates prove nobody.

    Its certificate is revoked at the CA above, if that is ours, and so is each cross-certificate of ours; its own CRL
    and OCSP answers go on for who believes it still. Nobody is above a root: `confirmed` has to be its slug, since
    then it is only withdrawn from trust. Idempotent. May be called in a transaction. Raises UnknownIssuer, BadReason,
    NotConfirmed.
    """
    if reason in {ReasonCode.REMOVE_FROM_CRL, ReasonCode.CERTIFICATE_HOLD}:
        raise BadReason(f"{reason} is no reason to revoke an issuer for good.")
    row = ISSUERS.filter(id=issuer).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    if row.parent is None and confirmed != row.slug:
        raise NotConfirmed(
            f"Nobody is above {row.slug} who could revoke it: it, and everything below it, would only be withdrawn "
            "from trust. Confirm that with its slug."
        )
    with transaction.atomic():
        for certificate in certificates_for(row):
            revoke_certificate(certificate=certificate, reason=reason, actor=actor, now=now, note=note)
        locked = Issuer.objects.select_for_update(no_key=True).get(id=issuer)
        if locked.state == IssuerState.REVOKED:
            return find_issuer(id=issuer)
        before, locked.state = locked.state, IssuerState.REVOKED
        locked.save(update_fields=["state"])
        facts: dict[str, str | None] = {"slug": row.slug, "reason": reason.value, "was": before}
        record_about(locked, "pki.issuer.revoked", actor=actor, now=now, after=facts, note=note)
    return find_issuer(id=issuer)


def certificates_for(row: Issuer) -> list[CertificateId]:
    """Those good for its key: its own at the issuer above, and what issuers of ours signed across."""
    found = set(Certificate.objects.filter(crosscertificate__issuer=row, state__in=_TAKEN).values_list("id", flat=True))
    if row.parent is not None and row.parent.kind != IssuerKind.TRUSTED:
        own = Certificate.objects.filter(issuer=row.parent, serial=row.serial, state__in=_TAKEN)
        found |= set(own.values_list("id", flat=True))
    return sorted(map(CertificateId, found))
