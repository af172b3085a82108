"""One answer of an issuer, out of what a process knows of it: prepared before, or signed now (RFC 6960)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kernel.services.reconnect import reconnecting
from pki.conf import ocsp_retention
from pki.core.ocsp_edition import Standing
from pki.core.ocsp_plain import status_of
from pki.core.ocsp_request import CertId, OcspRequest
from pki.core.ocsp_response import (
    ErrorStatus,
    Good,
    Revoked,
    SingleAnswer,
    Status,
    Unknown,
    build_error,
    build_response,
)
from pki.core.values import ReasonCode
from pki.services.ocsp_index import read_standing
from pki.services.ocsp_knowledge import Knowledge

VALID_FOR = timedelta(hours=1)
RENEWED_AFTER = timedelta(minutes=30)
PREPARED_UNTIL = timedelta(minutes=15)  # before the end of a prepared answer: from then on one is signed when asked
_TWENTY = bytes((20,))


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspAnswer:
    """An OCSPResponse; `this_update` and `next_update` are None if caches must not keep it."""

    der: bytes
    this_update: datetime | None = None
    next_update: datetime | None = None


MALFORMED = OcspAnswer(der=build_error(ErrorStatus.MALFORMED_REQUEST))
UNAUTHORIZED = OcspAnswer(der=build_error(ErrorStatus.UNAUTHORIZED))
TRY_LATER = OcspAnswer(der=build_error(ErrorStatus.TRY_LATER))
INTERNAL_ERROR = OcspAnswer(der=build_error(ErrorStatus.INTERNAL_ERROR))


def prepared_answer(known: Knowledge, octets: bytes, *, now: datetime) -> OcspAnswer | None:
    """The answer whose signature stands in the edition, unless something else was asked or became true since."""
    prepared, index = known.prepared, known.index
    if prepared is None or index.overflowed or index.edition is None:
        return None
    if not prepared.this_update <= now < prepared.next_update - PREPARED_UNTIL:  # a clock may have been set back
        return None
    serial = known.question.serial_in(octets)
    if not serial or int.from_bytes(serial, "big") in index.changes:
        return None
    found = index.edition.find(serial + _TWENTY)
    if found is None or not found[1] or found[0].ends_at <= now.timestamp():
        return None
    tbs = prepared.to_be_signed(serial, found[0])
    return OcspAnswer(
        der=prepared.signed(tbs, found[1]), this_update=prepared.this_update, next_update=prepared.next_update
    )


def find_standing(known: Knowledge, serial: int) -> Standing | None:
    """How the certificate stands; what is not in the index may have been issued a moment ago."""
    if not 0 < serial < 1 << 160:
        return None
    standing, revision = known.index.find(serial), known.revision
    if standing is None:
        standing = reconnecting(lambda: read_standing(known.issuer_id, serial))
        if standing is not None:
            known.index.remember(serial, standing, revision=revision)
    return standing


def sign_answer(
    known: Knowledge, request: OcspRequest, standings: list[Standing | None], *, now: datetime
) -> OcspAnswer:
    """The answer to each question as `standings` has it, signed by the issuer's signer."""
    this_update = known.read_at.replace(microsecond=0)  # when this was last known to be right (4.2.2.1)
    next_update = min(this_update + VALID_FOR, known.signer.ends_at)
    singles = [
        _single(known, cert_id, standing, this_update=this_update, next_update=next_update, now=now)
        for cert_id, standing in zip(request.cert_ids, standings, strict=True)
    ]
    der = build_response(
        answers=singles,
        produced_at=now,
        nonce=request.nonce,
        key=known.signer.key,
        key_hash=known.signer.key_hash,
        certificate=known.signer.certificate,
        preferred=request.preferred,
    )
    # An unknown serial number may be issued the next moment, and issuing does not raise the revision.
    if request.nonce is not None or any(isinstance(single.status, Unknown) for single in singles):
        return OcspAnswer(der=der)
    return OcspAnswer(der=der, this_update=this_update, next_update=next_update)


def _single(
    known: Knowledge,
    cert_id: CertId,
    standing: Standing | None,
    *,
    this_update: datetime,
    next_update: datetime,
    now: datetime,
) -> SingleAnswer:
    status: Status = Unknown()
    cutoff = None
    if standing and standing.ends_at <= now.timestamp():
        cutoff = (now - ocsp_retention()).replace(microsecond=0)
    if standing and (cutoff is None or standing.ends_at >= cutoff.timestamp()):
        status = status_of(standing)
        if known.compromised_at and isinstance(status, Good):
            status = Revoked(at=known.compromised_at, reason=ReasonCode.CA_COMPROMISE)
    return SingleAnswer(
        cert_id=cert_id.encoded,
        status=status,
        this_update=this_update,
        next_update=next_update,
        archive_cutoff=None if isinstance(status, Unknown) else cutoff,
    )


def next_turn(standing: Standing, *, now: datetime) -> datetime:
    """When the certificate ends, or is forgotten: another answer is right from then on."""
    ends_at = datetime.fromtimestamp(standing.ends_at, UTC)
    return ends_at if now < ends_at else ends_at + ocsp_retention()
