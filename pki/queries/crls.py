"""Reading CRLs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import psycopg
from django.db import connection

from kernel.core.ids import DomainId
from pki.core.crl import BACKDATED
from pki.core.pem import encode_pem
from pki.core.values import CrlKind, CrlStatus, IssuerId, PublishedCrl
from pki.models import Crl
from pki.models import Issuer as IssuerRow
from pki.queries.issuers import list_issuers

CRL_LABEL = "X509 CRL"
_ATTEMPTS = 5
_FULL = Crl.objects.filter(kind=CrlKind.FULL)


def latest_crl(*, issuer: IssuerId, kind: CrlKind = CrlKind.FULL, shard: int | None = None) -> PublishedCrl | None:
    """The issuer's newest CRL of that kind, of `shard` if it is a shard's; None if there is none."""
    rows = Crl.objects.filter(issuer_id=issuer, kind=kind, shard=shard).order_by("-number")
    for _ in range(_ATTEMPTS):
        row = rows.defer("der").first()
        if row is None:
            return None
        row.der = _octets_of(row.pk)
        if row.der:
            return row.as_value()
    raise RuntimeError("the newest CRL is overtaken each time it is read")


def _octets_of(pk: int) -> bytes:
    """The octets, empty if a newer CRL has just come; in binary, since as text they would be three times as long."""
    if connection.vendor != "postgresql":
        return bytes(Crl.objects.filter(pk=pk).values_list("der", flat=True).first() or b"")
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        row = cursor.execute("SELECT der FROM pki_crl WHERE id = %s", (pk,), binary=True).fetchone()
    return row[0] if row else b""


def newest_crl_number(*, slug: str, kind: CrlKind = CrlKind.FULL, shard: int | None = None) -> int | None:
    """The number of the newest CRL of that kind of the issuer `slug`; None without one."""
    rows = Crl.objects.filter(issuer__slug=slug, kind=kind, shard=shard)
    return rows.order_by("-number").values_list("number", flat=True).first()


def crl_status(*, issuer: IssuerId) -> CrlStatus | None:
    """The issuer's newest full CRL without its octets."""
    return crl_statuses(issuers=[issuer]).get(issuer)


def crl_statuses(*, issuers: Collection[IssuerId]) -> dict[IssuerId, CrlStatus]:
    """The same of several issuers; those without a CRL are left out."""
    rows = _FULL.filter(issuer_id__in=issuers).defer("der").select_related("issuer").order_by("number")
    return {IssuerId(row.issuer_id): _status(row) for row in rows}  # the newest last


def published_crls(*, issuer: IssuerId) -> list[CrlStatus]:
    """What the issuer publishes now: the full CRL, the delta if there is one, and each shard's, in that order."""
    rows = Crl.objects.filter(issuer_id=issuer).defer("der").select_related("issuer").order_by("number")
    newest = {(row.kind, row.shard): row for row in rows}
    order = (CrlKind.FULL, CrlKind.DELTA, CrlKind.SHARD)
    found = sorted(newest.values(), key=lambda row: (order.index(CrlKind(row.kind)), row.shard or 0))
    return [_status(row) for row in found]


def crl_bundle(*, domain: DomainId) -> str:
    """PEM of the newest CRL of each of the domain's issuers: what an OpenSSL-based broker reads."""
    found = [latest_crl(issuer=issuer.id) for issuer in list_issuers(domains=[domain])]
    return "".join(encode_pem(CRL_LABEL, crl.der) for crl in found if crl)


def issuers_with_crls(*, slug: str) -> list[str]:
    """The slugs of the issuer and of those above it that have published a CRL here, the issuer's first."""
    return [row.slug for row in _upwards(slug) if _FULL.filter(issuer=row).exists()]


def _upwards(slug: str) -> Iterator[IssuerRow]:
    row = IssuerRow.objects.filter(slug=slug).defer("der").first()
    while row is not None:
        yield row
        row = IssuerRow.objects.filter(id=row.parent_id).defer("der").first() if row.parent_id else None


def _status(row: Crl) -> CrlStatus:
    return CrlStatus(
        kind=CrlKind(row.kind),
        shard=row.shard,
        base_number=row.base_number,
        number=row.number,
        published_at=row.this_update + BACKDATED,
        this_update=row.this_update,
        next_update=row.next_update,
        entries=row.entries,
        is_due=row.revision < row.issuer.revision,
    )
