"""Signing what was drafted, between two transactions: a crash leaves rows to revoke, never an unrecorded certificate.

The first transaction binds the keys and writes the rows with their serial numbers; the second stores what was signed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography import x509
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, DomainError, Unavailable
from kernel.core.ids import DomainId
from kernel.core.journal import Change, Subject
from kernel.services import column_converter, insert_rows, record_many
from pki.core import keys
from pki.core.csr import WeakKey
from pki.core.keys import SigningKey
from pki.core.signatures import is_signed_by
from pki.core.values import CertificateState
from pki.core.weakness import Weakness
from pki.models import Certificate, PublicKeyHolder
from pki.services.signers import check_not_retired

log = logging.getLogger(__name__)


class KeyInUse(Conflict):
    """The public key belongs to somebody else already."""

    code = "key-in-use"


class MissignedError(RuntimeError):
    """What came back from signing is not what was linted: the row stays, and is revoked by the sweep."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A certificate that was linted and lacks its signature, with its row, which is not written yet."""

    row: Certificate
    to_be_signed: bytes
    issuer: x509.Certificate


Fault = DomainError | MissignedError
_SIGNED = ("der", "fingerprint", "state", "id")
Faults = dict[UUID, Fault]
"""Why there is no certificate, by the ids of the rows."""


def sign_drafts(drafts: Sequence[Draft], *, key: SigningKey, actor: Actor, now: datetime) -> Faults:
    """What became of none of the drafts; the rows of the others are issued. Not to be called in a transaction.

    One fault keeps no other draft from its certificate, but that nothing more is signed once the key is Unavailable.
    """
    faults = _write(drafts)
    signed = _sign([draft for draft in drafts if draft.row.id not in faults], key, faults)
    if signed:
        _store(signed, faults, actor=actor, now=now)
    return faults


def _write(drafts: Sequence[Draft]) -> Faults:
    """Binds the keys and writes the rows, all but those that it returns."""
    with transaction.atomic():
        faults = _bind_keys([draft.row for draft in drafts])
        insert_rows([draft.row for draft in drafts if draft.row.id not in faults])
        check_not_retired({draft.row.issuer_id for draft in drafts})
    return faults


def _bind_keys(rows: Sequence[Certificate]) -> Faults:
    """Binds each key to the first who asks, for ever. In the order of the keys: two writers never wait in a circle."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row.public_key_sha256, row.holder)
    insert_rows([PublicKeyHolder(public_key_sha256=key, holder=first[key]) for key in sorted(first)], ignore_known=True)
    bound = {row.public_key_sha256: row for row in PublicKeyHolder.objects.filter(public_key_sha256__in=[*first])}
    found = ((row.id, _fault_of(bound[row.public_key_sha256], row.holder)) for row in rows)
    return {id: fault for id, fault in found if fault}


def _fault_of(bound: PublicKeyHolder, holder: str) -> DomainError | None:
    if bound.holder != holder:
        return KeyInUse("This public key belongs to another holder already: make a new key, one for each device.")
    if bound.weakness:
        words = Weakness.parse(bound.weakness).words
        return WeakKey(f"The key is known to be weak: {words}. Make a new one, elsewhere.")
    return None


def _sign(drafts: Iterable[Draft], key: SigningKey, faults: Faults) -> list[Certificate]:
    """The rows of those that were signed as they were linted."""
    signed: list[Certificate] = []
    gone: Unavailable | None = None
    for draft in drafts:
        try:
            if gone:
                raise gone
            der = keys.wrap_signed(key, draft.to_be_signed)
            check_octets(der, to_be_signed=draft.to_be_signed, issuer=draft.issuer)
        except Unavailable as fault:
            faults[draft.row.id] = gone = fault
        except (DomainError, MissignedError) as fault:
            faults[draft.row.id] = fault
        else:
            draft.row.der, draft.row.fingerprint = der, hashlib.sha256(der).hexdigest()
            draft.row.state = CertificateState.ISSUED
            signed.append(draft.row)
    return signed


def check_octets(der: bytes, *, to_be_signed: bytes, issuer: x509.Certificate) -> None:
    """Reads a certificate back: to the octet what was linted, and by the issuer's key. Raises MissignedError."""
    parsed = x509.load_der_x509_certificate(der)
    if parsed.tbs_certificate_bytes != to_be_signed:
        raise MissignedError("something else was signed than was linted")
    if not is_signed_by(issuer.public_key(), signature=parsed.signature, octets=to_be_signed):
        raise MissignedError("the issuer's certificate does not verify what its key signed")


def _store(signed: Sequence[Certificate], faults: Faults, *, actor: Actor, now: datetime) -> None:
    with transaction.atomic():
        for id in _keep(signed):
            faults[id] = Conflict("The request was given up while it was signed: ask again.", code="request-abandoned")
        changes = [issued_change(row) for row in signed if row.id not in faults]
        record_many(changes=changes, actor=actor, now=now)


def _keep(signed: Sequence[Certificate]) -> set[UUID]:
    """Stores the certificates in their rows; the ids of those rows that do not wait for theirs any more.

    In one statement for all, which the query builder has none for.
    """
    meta = Certificate._meta  # noqa: SLF001 - Django documents it
    written = {field.name: column_converter(field, connections[DEFAULT_DB_ALIAS]) for field in meta.concrete_fields}
    rows = [[written[name](getattr(row, name)) for name in _SIGNED] for row in signed]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {meta.db_table} SET der = %s, fingerprint = %s, state = %s "  # noqa: S608 - our own table
            f"WHERE id = %s AND state = '{CertificateState.REQUESTED}'",
            rows,
        )
        if cursor.rowcount == len(signed):
            return set()
    wanted = {row.id: row.fingerprint for row in signed}
    kept = Certificate.objects.filter(id__in=[*wanted], state=CertificateState.ISSUED).values_list("id", flat=True)
    return set(wanted) - set(kept)


def issued_change(row: Certificate) -> Change:
    """What the journal says of a certificate that was issued."""
    return Change(
        action="pki.certificate.issued",
        subject=Subject(kind="pki.certificate", id=str(row.id), label=row.serial),
        domain=DomainId(row.domain_id),
        after={
            "issuer": str(row.issuer_id),
            "issuer_slug": row.issuer.slug,
            "serial": row.serial,
            "holder": row.holder,
            "profile": row.profile,
            "not_after": row.not_after.isoformat(),
        },
    )
