"""Revoking many certificates: what was shown is ordered, and carried out in chunks behind everything urgent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, EntryId, new_id
from kernel.core.journal import Entry, Subject
from kernel.services import record
from pki.core.revocation_order import RevocationFilter, newest_in
from pki.core.values import CertificateState, IssuerId, IssuerKind, ReasonCode
from pki.models import Certificate, Issuer
from pki.queries.crls import crl_statuses
from pki.queries.matching import matching_certificates, unrevoked
from pki.services.publish_crl import publish_crl
from pki.services.revoke_certificate import check_revocation, revoke_rows

CHUNK = 200
"""So many are revoked in one transaction: it keeps other writers from the journal's end for a tenth of a second."""
_CRL_EVERY = timedelta(minutes=1)


class OtherCertificates(Conflict):
    """Other certificates fit now than were shown."""

    code = "revocation-set-changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRevocation:
    """How many certificates the operation is about."""

    operation: EntryId
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many of those ordered are revoked by now, and whether none is left."""

    revoked: int
    ordered: int
    is_done: bool


def revoke_matching(
    *,
    domain: DomainId,
    wanted: RevocationFilter,
    digest: str,
    reason: ReasonCode,
    actor: Actor,
    now: datetime,
    note: str = "",
    invalidity_date: datetime | None = None,
    with_cas: bool = True,
) -> BulkRevocation:
    """The operation that revokes every certificate that fits, if they are those that `digest` was shown with.

    What was issued since it was shown is left alone, even if it fits; so are, without `with_cas`, CAs and OCSP
    signers, even if their holder is named. Raises OtherCertificates, BadReason, BadInvalidityDate.
    """
    check_revocation(reason=reason, invalidity_date=invalidity_date, now=now)
    with transaction.atomic():
        found = matching_certificates(domain=domain, wanted=wanted, up_to=newest_in(digest), with_cas=with_cas)
        if found.digest != digest:
            raise OtherCertificates(f"Other certificates fit now, {found.count}: look at them again (dry_run).")
        entry = record(
            action="pki.revocation.ordered",
            subject=Subject(kind="pki.revocation", id=str(new_id()), label=f"{found.count} certificates"),
            actor=actor,
            now=now,
            domain=domain,
            after={
                "filter": wanted.as_document(),
                "with_cas": with_cas,
                "count": found.count,
                "newest": str(found.newest) if found.newest else None,
                "reason": reason.value,
                "invalidity_date": invalidity_date.isoformat() if invalidity_date else None,
            },
            note=note,
        )
    return BulkRevocation(operation=entry.id, count=found.count)


def continue_revocation(*, order: Entry, now: datetime, may_go_on: Callable[[], bool]) -> Progress:
    """Revokes more of what the entry `order` asks for, chunk by chunk, as long as `may_go_on`.

    Each certificate has an entry of its own in the journal. It may be broken off and begun again at any moment. The
    CRL follows each minute, and at the end.
    """
    newest, after = order.after["newest"], None
    while newest and (after := _revoke_chunk(order, after=after, now=now)) is not None and may_go_on():
        pass
    left = _left(order).count() if newest and after is not None else 0
    _publish(order, now=now, is_done=not left)
    ordered = int(order.after["count"])
    return Progress(revoked=max(ordered - left, 0), ordered=ordered, is_done=not left)


def _left(order: Entry) -> QuerySet[Certificate]:
    assert order.domain is not None
    wanted = RevocationFilter.from_document(order.after["filter"])
    rows = unrevoked(order.domain, wanted, with_cas=order.after.get("with_cas", True))
    return rows.filter(id__lte=UUID(order.after["newest"]))


def _revoke_chunk(order: Entry, *, after: UUID | None, now: datetime) -> UUID | None:
    """The id of the last that was looked at, None if none is left. All of one chunk are of one issuer."""
    rows = _left(order) if after is None else _left(order).filter(id__gt=after)
    found = list(rows.order_by("id").values_list("id", "issuer_id")[:CHUNK])
    if not found:
        return None
    issuer_id = found[0][1]
    chosen = [id for id, _ in takewhile(lambda pair: pair[1] == issuer_id, found)]
    with transaction.atomic():
        issuer = Issuer.objects.select_for_update(no_key=True).get(id=issuer_id)
        locked = Certificate.objects.select_for_update(no_key=True).defer("der").filter(id__in=chosen)
        chunk = list(locked.exclude(state=CertificateState.REVOKED).order_by("id"))
        for row in chunk:
            row.issuer = issuer
        _revoke(chunk, order, now=now)
    last: UUID = chosen[-1]
    return last


def _revoke(rows: Sequence[Certificate], order: Entry, *, now: datetime) -> None:
    said: Mapping[str, Any] = order.after
    since = said["invalidity_date"]
    revoke_rows(
        rows,
        reason=ReasonCode(said["reason"]),
        actor=order.actor,
        now=now,
        note=order.note,
        invalidity_date=datetime.fromisoformat(since) if since else None,
        operation=order.id,
    )


def _publish(order: Entry, *, now: datetime, is_done: bool) -> None:
    """Few CRLs: of each issuer here that has something new, when all is done, or a minute after the one before."""
    assert order.domain is not None
    rows = Issuer.objects.filter(domain_id=order.domain, kind=IssuerKind.ONLINE, not_after__gt=now)
    issuers = [IssuerId(id) for id in rows.order_by("id").values_list("id", flat=True)]
    for issuer, status in crl_statuses(issuers=issuers).items():
        is_old = not status.published_at <= now < status.published_at + _CRL_EVERY
        if status.is_due and (is_done or is_old):
            publish_crl(issuer=issuer, now=now)
