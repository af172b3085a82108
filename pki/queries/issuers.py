"""Reading issuers: which there are, which are trusted, and what they are replaced by."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from pki.core.values import CertificateState, Custody, Issuer, IssuerId, IssuerKind, IssuerState
from pki.models import Certificate, OcspSigner
from pki.models import Issuer as IssuerRow


class UnknownIssuer(NotFound):
    """There is no such issuer."""

    code = "issuer-unknown"


ISSUERS = IssuerRow.objects.select_related("parent__parent")
_TAKEN_AWAY = (CertificateState.REVOKED, CertificateState.HELD)
_GONE = frozenset({IssuerState.RETIRED, IssuerState.REVOKED})


def find_issuer(*, slug: str = "", id: IssuerId | None = None, domains: Collection[DomainId] | None = None) -> Issuer:
    """The issuer of that slug or id, in one of `domains` if they are given. Raises UnknownIssuer."""
    rows = ISSUERS.filter(id=id) if id else ISSUERS.filter(slug=slug)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    return row.as_value()


def list_issuers(
    *,
    domains: Collection[DomainId] | None = None,
    kinds: Collection[IssuerKind] = tuple(IssuerKind),
    states: Collection[IssuerState] = tuple(IssuerState),
) -> list[Issuer]:
    """Every issuer of the domains (of all, if None) of these kinds in these states, those above before those below."""
    rows = ISSUERS.filter(kind__in=kinds, state__in=states).order_by("id")
    return [row.as_value() for row in (rows if domains is None else rows.filter(domain_id__in=domains))]


def custody_of(*, issuer: IssuerId) -> Custody | None:
    """Where the issuer's key is kept; None if it is not here."""
    return custodies_of(issuers=[issuer]).get(issuer)


def custodies_of(*, issuers: Collection[IssuerId]) -> dict[IssuerId, Custody]:
    """The same of several; those whose key is not here are left out."""
    rows = IssuerRow.objects.filter(id__in=issuers, key__isnull=False).values_list("id", "key__custody")
    return {IssuerId(id): Custody(custody) for id, custody in rows}


def trusted_issuers(*, domain: DomainId) -> list[Issuer]:
    """Our issuers that are neither retired nor, in effect, revoked, and the CAs above them, those above first.

    A CA that is only believed, such as a manufacturer's, is none of them unless it stands above one of ours.
    """
    rows = {row.id: row for row in ISSUERS.filter(domain_id=domain).order_by("id")}
    withdrawn = revoked_in_effect(rows.values())
    wanted: set[UUID] = set()
    for row in rows.values():
        if row.kind == IssuerKind.TRUSTED or row.state == IssuerState.RETIRED or row.id in withdrawn:
            continue
        above: IssuerRow | None = row
        while above is not None:
            wanted.add(above.id)
            above = rows.get(above.parent_id) if above.parent_id else None
    return [row.as_value() for row in rows.values() if row.id in wanted]


def trust_bundle(*, domain: DomainId) -> str:
    """PEM of what a device or broker of the domain trusts: see `trusted_issuers`."""
    return "".join(issuer.certificate_pem for issuer in trusted_issuers(domain=domain))


def revoked_issuers(*, domain: DomainId) -> frozenset[IssuerId]:
    """Those that are revoked in effect: themselves, or a CA above them."""
    rows = ISSUERS.filter(domain_id=domain).order_by("id")
    return frozenset(map(IssuerId, revoked_in_effect([*rows])))


def ocsp_signer_ends_at(*, issuer: IssuerId) -> datetime | None:
    """When the newest OCSP signer's certificate ends."""
    signer = OcspSigner.objects.filter(issuer_id=issuer).select_related("certificate").order_by("-pk").first()
    return signer.certificate.not_after if signer else None


def is_issuer_revoked(issuer: IssuerRow) -> bool:
    """Whether the issuer, or one above it, is revoked, or its certificate is revoked or on hold."""
    line = [issuer]
    while line[-1].parent is not None:
        line.append(line[-1].parent)
    return bool(revoked_in_effect(line))


def revoked_in_effect(issuers: Collection[IssuerRow]) -> set[UUID]:
    """Which of the issuers are revoked, themselves or above them; those above have to be among them. One query."""
    certificates = Q()
    for row in issuers:
        if row.parent_id:
            certificates |= Q(issuer_id=row.parent_id, serial=row.serial)
    taken = set()
    if certificates:
        found = Certificate.objects.filter(certificates, state__in=_TAKEN_AWAY)
        taken = set(found.values_list("issuer_id", "serial"))
    revoked = {r.id for r in issuers if r.state == IssuerState.REVOKED or (r.parent_id, r.serial) in taken}
    while below := {row.id for row in issuers if row.parent_id in revoked} - revoked:
        revoked |= below
    return revoked


def newest_successor(issuer: IssuerRow) -> IssuerRow:
    """The issuer, or, after rollovers, the last that took its place."""
    seen = {issuer.id}
    while issuer.successor_id and issuer.successor_id not in seen:
        issuer = ISSUERS.get(id=issuer.successor_id)
        seen.add(issuer.id)
    return issuer


def is_gone(issuer: IssuerRow) -> bool:
    """Whether the issuer or one above it is retired or revoked, as far as their rows say."""
    return IssuerState(issuer.state) in _GONE or (issuer.parent is not None and is_gone(issuer.parent))
