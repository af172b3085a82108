"""Keeping what an imported CA had revoked: its serial numbers as rows, so that our CRLs list them on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from kernel.core.ids import new_id
from kernel.services import insert_rows
from pki.core.crl import encode_entry
from pki.core.earlier_crl import EarlierEntry, EarlierRevocations
from pki.core.values import CertificateState, ReasonCode, serial_hex
from pki.models import Certificate, Issuer

_BATCH = 1_000


def keep_revocations(issuer: Issuer, earlier: EarlierRevocations, *, now: datetime) -> None:
    """A row for each, in the caller's transaction; our CRLs get numbers above the last of theirs.

    When the certificates end is not known, so they are listed until the issuer ends.
    """
    issuer.crl_number, issuer.revision = earlier.number, 1
    issuer.save(update_fields=["crl_number", "revision"])
    for batch in _batches(list(earlier.entries)):
        insert_rows([_row(issuer, entry, now=now) for entry in batch])


def _row(issuer: Issuer, entry: EarlierEntry, *, now: datetime) -> Certificate:
    """One on hold can be released here; its octets are not known."""
    held = entry.reason is ReasonCode.CERTIFICATE_HOLD
    return Certificate(
        id=new_id(),
        domain_id=issuer.domain_id,
        issuer=issuer,
        serial=serial_hex(entry.serial),
        holder=f"elsewhere:{issuer.slug}",
        profile="imported",
        state=CertificateState.HELD if held else CertificateState.REVOKED,
        not_before=issuer.not_before,
        not_after=issuer.not_after,
        requested_at=now,
        revoked_at=entry.revoked_at,
        reason=entry.reason,
        note="revoked before the issuer was imported",
        invalidity_date=entry.invalidity_date,
        changed_revision=issuer.revision,
        crl_entry=encode_entry(
            serial=entry.serial,
            revoked_at=entry.revoked_at,
            reason=entry.reason,
            invalidity_date=entry.invalidity_date,
        ),
    )


def _batches(entries: list[EarlierEntry]) -> Iterator[list[EarlierEntry]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]
