"""Publishing an issuer's CRLs; the bytes that are served are made here and nowhere else."""

from __future__ import annotations

from datetime import datetime

import psycopg
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from kernel.core.actor import SYSTEM
from kernel.core.errors import Unavailable
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.values import CrlKind, IssuerId, PublishedCrl
from pki.models import Crl, Issuer
from pki.services.crl_editions import Edition, Standing, build_edition, is_old, read_standing
from pki.services.custody import check_in_time, signing_key

_ATTEMPTS = 8


class Overtaken(Unavailable):
    """Other builders were faster each time."""

    code = "crl-overtaken"


def publish_crl(*, issuer: IssuerId, now: datetime, force: bool = False) -> PublishedCrl:
    """The newest full CRL: built now if there are revocations it lacks, if it is an hour old, or if `force` says so.

    With it come the delta and the shards that changed or are due, under the same number. They cover every revocation
    committed before the call. Not to be called in a transaction. They are stored only as the followers of what was the
    newest when their entries were read; else they are thrown away and built again, so that numbers rise and none lists
    less than the one before. Raises IssuerEnded, KeyElsewhere, CrlLintFailure, Overtaken.
    """
    for _ in range(_ATTEMPTS):
        row = Issuer.objects.get(id=issuer)
        standing = read_standing(row, now=now)
        if standing.full and not force and not _is_due(row, standing, now=now):
            return Crl.objects.get(pk=standing.full.pk).as_value()
        check_in_time(row, now=now)
        edition = build_edition(row, standing, key=signing_key(row), now=now, whole=force)
        if _store(edition, issuer=row, standing=standing, now=now):
            return edition.full.as_value()
        force = False  # somebody else has just built one
    raise Overtaken(f"The CRL of {row.slug} is being built by others: ask again.")


def _is_due(issuer: Issuer, standing: Standing, *, now: datetime) -> bool:
    """Whether something is revoked or released, old, or a shard that certificates point to is not there yet."""
    full = standing.full
    lacks_shards = issuer.crl_shards > 1 and not set(range(issuer.crl_shards)) <= set(standing.shards)
    return full is None or full.revision < issuer.revision or is_old(full, now=now) or lacks_shards


def _store(edition: Edition, *, issuer: Issuer, standing: Standing, now: datetime) -> bool:
    """Whether the edition follows the newest still, and is the newest now.

    The octets go first, so that the issuer's row, which revocations wait for, is not locked meanwhile.
    """
    full = edition.full
    try:
        with transaction.atomic():
            for crl in (*edition.others, full):
                _insert(crl)
            follows = Issuer.objects.filter(id=issuer.id, crl_number=full.number - 1)
            if not follows.update(crl_number=F("crl_number") + 1):
                raise IntegrityError("another edition came first")
            _clear_away(edition, issuer=issuer, base=standing.base)
            _record(edition, issuer=issuer, now=now)
    except IntegrityError:
        if Issuer.objects.filter(id=issuer.id, crl_number=full.number - 1).exists():
            raise  # it is not that another edition came first
        return False
    return True


def _insert(crl: Crl) -> None:
    """The row with its octets, which on PostgreSQL go in binary: written into the statement they would be doubled."""
    if connection.vendor != "postgresql":
        crl.save(force_insert=True)
        return
    octets, crl.der = crl.der, b""
    crl.save(force_insert=True)
    crl.der = octets
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute("UPDATE pki_crl SET der = %b WHERE id = %s", (octets, crl.pk))


def _clear_away(edition: Edition, *, issuer: Issuer, base: Crl | None) -> None:
    """Deletes what nobody is served any more; of full CRLs that deltas may begin at, all but the octets."""
    full, rows = edition.full, Crl.objects.filter(issuer=issuer, number__lt=edition.full.number)
    rows.filter(kind=CrlKind.DELTA).delete()
    rows.filter(kind=CrlKind.SHARD, shard__in=[crl.shard for crl in edition.others if crl.shard is not None]).delete()
    fulls = rows.filter(kind=CrlKind.FULL)
    fulls.filter(number__lt=base.number if base else full.number).delete()
    fulls.exclude(der=b"").update(der=b"")


def _record(edition: Edition, *, issuer: Issuer, now: datetime) -> None:
    deltas = [crl for crl in edition.others if crl.kind == CrlKind.DELTA]
    record(
        action="pki.crl.published",
        subject=Subject(kind="pki.issuer", id=str(issuer.id), label=issuer.slug),
        actor=SYSTEM,
        now=now,
        domain=DomainId(issuer.domain_id),
        after={
            "issuer_slug": issuer.slug,
            "number": edition.full.number,
            "entries": edition.full.entries,
            "delta_entries": deltas[0].entries if deltas else None,
            "shards": len(edition.others) - len(deltas),
        },
    )
