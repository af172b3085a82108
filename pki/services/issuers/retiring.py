"""Retiring issuers: nobody trusts them any more, once nothing that they signed is valid."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction

from kernel.core.actor import SYSTEM, Actor
from kernel.core.errors import Conflict, DomainError
from pki.core.issuer_values import Remainder
from pki.core.values import Issuer as IssuerValue
from pki.core.values import IssuerId, IssuerKind, IssuerState, ReasonCode
from pki.models import Issuer
from pki.queries import find_issuer
from pki.queries.issuers import ISSUERS, UnknownIssuer
from pki.queries.remainders import remainder_of
from pki.services.issuers.revoking import certificates_for
from pki.services.issuers.storing import record_about
from pki.services.publish_crl import publish_crl
from pki.services.revoke_certificate import revoke_certificate

log = logging.getLogger(__name__)

OVERLAP = timedelta(days=1)
"""How long both are trusted at least, after a rollover of an issuer of whose certificates none is valid."""


class StillNeeded(Conflict):
    """Something that the issuer signed is valid still."""

    code = "issuer-still-needed"


def retire_issuer(*, issuer: IssuerId, actor: Actor, now: datetime, note: str = "") -> IssuerValue:
    """The issuer, out of the trust bundle for good, with a last CRL that stays where it is. Idempotent.

    Its certificates by issuers of ours are revoked (cessationOfOperation), so that its key is good for nothing; one
    for its successor does not keep it. Not to be called in a transaction. Raises UnknownIssuer; StillNeeded if a
    certificate of it, or an issuer below it, is valid still.
    """
    row = ISSUERS.filter(id=issuer).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    if row.state == IssuerState.RETIRED:
        return row.as_value()
    _check(row, now=now)
    if row.kind == IssuerKind.ONLINE and row.not_after > now:
        publish_crl(issuer=issuer, now=now, force=True)
    with transaction.atomic():
        for certificate in certificates_for(row):
            reason = ReasonCode.CESSATION_OF_OPERATION
            revoke_certificate(certificate=certificate, reason=reason, actor=actor, now=now, note=note)
        locked = Issuer.objects.select_for_update().get(id=issuer)  # not no_key: it waits for rows that name it
        _check(locked, now=now)
        before, locked.state = locked.state, IssuerState.RETIRED
        locked.save(update_fields=["state"])
        facts: dict[str, str | None] = {"slug": row.slug, "was": before}
        record_about(locked, "pki.issuer.retired", actor=actor, now=now, after=facts, note=note)
    return find_issuer(id=issuer)


def retire_ended_issuers(*, now: datetime) -> list[str]:
    """Retires what a rollover has left behind and nobody needs any more; their slugs."""
    rows = Issuer.objects.filter(state=IssuerState.SUPERSEDED).select_related("successor")
    retired = []
    for row in rows.order_by("-id"):  # those below before those above
        assert row.successor is not None
        if now < row.successor.not_before + OVERLAP:
            continue
        try:
            retire_issuer(
                issuer=IssuerId(row.id), actor=SYSTEM, now=now, note="nothing that it signed is valid any more"
            )
        except StillNeeded:
            continue
        except (DomainError, RuntimeError):
            log.exception("the issuer %s could not be retired", row.slug)
            continue
        retired.append(row.slug)
    return retired


def _check(row: Issuer, *, now: datetime) -> None:
    left = remainder_of(issuer=IssuerId(row.id), now=now)
    if left.certificates or left.issuers:
        raise StillNeeded(f"The issuer {row.slug} is needed still: {_told(left)}.")


def _told(left: Remainder) -> str:
    parts = []
    if left.issuers:
        parts.append(f"below it there is {', '.join(left.issuers[:5])}")
    if left.certificates and left.ends_at:
        many = f"{left.certificates} certificates are" if left.certificates > 1 else "1 certificate is"
        parts.append(f"{many} valid, the last until {left.ends_at:%Y-%m-%d %H:%M:%S} UTC")
    return "; ".join(parts)
