"""Reading what is published for issuers: as many statements for a thousand issuers as for one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from kernel.core.ids import DomainId
from pki.core.freshness import CrlFreshness, IssuerFreshness, OpenRequest, RequestKind, SignerFreshness
from pki.core.values import CertificateState, CrlKind, IssuerId, IssuerKind, IssuerState
from pki.models import Certificate, Crl, Issuer, IssuerRequest, OcspSigner, SigningRequest
from pki.queries.profiles import list_profile_states

_CA, _LEAF = "issuing-ca", "device"


def list_freshness(*, domains: Collection[DomainId] | None, now: datetime) -> list[IssuerFreshness]:
    """What is published for each issuer of the domains (of all, if None) that is not retired, the oldest first."""
    last_leaf = Certificate.objects.filter(issuer=OuterRef("pk"), state=CertificateState.ISSUED)
    rows = list(
        _within(Issuer.objects.exclude(state=IssuerState.RETIRED), domains)
        .annotate(last_leaf_ends_at=Subquery(last_leaf.order_by("-not_after").values("not_after")[:1]))
        .select_related("successor")
        .defer("der")
        .order_by("id")
    )
    ids = [row.id for row in rows]
    crls, signers = _newest_crls(ids), _newest_signers(ids, now=now)
    revoked, held = _revoked_issuers(rows), _with_held_leaves(rows, now=now)
    parents, validities = {row.parent_id for row in rows}, _validities(rows)
    return [
        IssuerFreshness(
            id=IssuerId(row.id),
            domain=DomainId(row.domain_id),
            slug=row.slug,
            kind=IssuerKind(row.kind),
            state=IssuerState(row.state),
            successor=row.successor.slug if row.successor else "",
            not_before=row.not_before,
            not_after=row.not_after,
            is_revoked=row.state == IssuerState.REVOKED or row.id in revoked,
            leaf_validity=validities[DomainId(row.domain_id), _CA if row.id in parents else _LEAF],
            last_leaf_ends_at=row.last_leaf_ends_at,
            has_held_leaves=row.id in held,
            crl_shards=row.crl_shards,
            unpublished_since=_unpublished_since(row, crls.get(row.id, {})),
            crls=tuple(value for value, _ in crls.get(row.id, {}).values()),
            signer=signers.get(row.id),
        )
        for row in rows
    ]


def list_open_requests(*, domains: Collection[DomainId] | None) -> list[OpenRequest]:
    """What was handed out to be signed elsewhere and has not come back, the oldest first."""
    signing = SigningRequest.objects.filter(closed_at=None).select_related("issuer").defer("to_be_signed")
    if domains is not None:
        signing = signing.filter(issuer__domain_id__in=domains)
    found = [
        OpenRequest(
            id=str(row.id),
            domain=DomainId(row.issuer.domain_id),
            kind=RequestKind(row.kind),
            slug=row.issuer.slug,
            purpose=row.purpose,
            created_at=row.created_at,
        )
        for row in signing.order_by("id")
    ]
    becoming = {row.becomes_id for row in signing}
    found += [
        OpenRequest(
            id=str(row.id),
            domain=DomainId(row.domain_id),
            kind=RequestKind.ISSUER,
            slug=row.slug,
            purpose=f"The certificate of {row.slug}",
            created_at=row.created_at,
        )
        for row in _within(IssuerRequest.objects.defer("csr"), domains).order_by("id")
        if row.id not in becoming
    ]
    return found


def _within(rows: QuerySet[Any], domains: Collection[DomainId] | None) -> QuerySet[Any]:
    return rows if domains is None else rows.filter(domain_id__in=domains)


_CrlKey = tuple[str, int | None]


def _newest_crls(issuers: Collection[UUID]) -> Mapping[UUID, Mapping[_CrlKey, tuple[CrlFreshness, int]]]:
    """By issuer, then by kind and shard: the newest, and the revision that it covers."""
    found: dict[UUID, dict[_CrlKey, tuple[CrlFreshness, int]]] = {}
    rows = Crl.objects.filter(issuer_id__in=issuers).defer("der").order_by("kind", "shard", "number")
    for row in rows:  # the newest last
        value = CrlFreshness(
            kind=CrlKind(row.kind),
            shard=row.shard,
            number=row.number,
            this_update=row.this_update,
            next_update=row.next_update,
            entries=row.entries,
        )
        found.setdefault(row.issuer_id, {})[row.kind, row.shard] = value, row.revision
    return found


def _unpublished_since(issuer: Issuer, crls: Mapping[_CrlKey, tuple[CrlFreshness, int]]) -> datetime | None:
    """When the oldest change was made that the full CRL lacks; asked of the few issuers that have such.

    A hold that becomes final keeps the date of the hold, and a release has none: what counts is when it was done. Of
    what a CA brought along, only the date is known.
    """
    _, covered = crls.get((CrlKind.FULL, None), (None, issuer.revision))
    if covered >= issuer.revision:
        return None
    rows = Certificate.objects.filter(issuer=issuer, changed_revision__gt=covered)
    oldest: datetime | None = rows.aggregate(oldest=Min(Coalesce("changed_at", "revoked_at")))["oldest"]
    return oldest


def _newest_signers(issuers: Collection[UUID], *, now: datetime) -> Mapping[UUID, SignerFreshness]:
    rows = OcspSigner.objects.filter(
        issuer_id__in=issuers, certificate__state=CertificateState.ISSUED, certificate__not_after__gt=now
    )
    return {
        issuer: SignerFreshness(not_before=begins, not_after=ends)
        for issuer, begins, ends in rows.order_by("pk").values_list(
            "issuer_id", "certificate__not_before", "certificate__not_after"
        )
    }


def _revoked_issuers(rows: Collection[Issuer]) -> set[UUID]:
    """Those whose own certificate, or that of one above, is revoked or on hold."""
    below = {(row.parent_id, row.serial): row.id for row in rows if row.parent_id}
    own = Certificate.objects.filter(
        issuer_id__in={parent for parent, _ in below},
        serial__in={serial for _, serial in below},
        state__in=[CertificateState.REVOKED, CertificateState.HELD],
    )
    revoked = {below[key] for key in own.values_list("issuer_id", "serial") if key in below}
    revoked |= {row.id for row in rows if row.state == IssuerState.REVOKED}
    while more := {row.id for row in rows if row.parent_id in revoked} - revoked:
        revoked |= more
    return revoked


def _with_held_leaves(rows: Collection[Issuer], *, now: datetime) -> set[UUID]:
    """Of those that are no longer active: who has certificates on hold, which may be released."""
    past = [row.id for row in rows if row.state != IssuerState.ACTIVE]
    if not past:
        return set()
    held = Certificate.objects.filter(state=CertificateState.HELD, issuer_id__in=past, not_after__gt=now)
    return set(held.order_by().values_list("issuer_id", flat=True).distinct())


def _validities(rows: Collection[Issuer]) -> Mapping[tuple[DomainId, str], timedelta]:
    """By domain and name, how long the profiles last that most issuers sign; one until a fixed day asks for nothing."""
    found = {}
    for state in list_profile_states(domains={DomainId(row.domain_id) for row in rows}):
        if state.profile.name in {_CA, _LEAF}:
            lasts = state.profile.validity
            found[state.domain, state.profile.name] = lasts if isinstance(lasts, timedelta) else timedelta(0)
    return found
