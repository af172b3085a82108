"""Answering OCSP requests (RFC 6960): from memory while nothing is revoked, or while the database is away.

Each process keeps, per issuer, its signer and the issuer's revision. The revision is read again when it is older than
a third of a second; an answer made under an older one is made anew. So a revocation shows within a second everywhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from django.db import Error as DatabaseFault

from pki.core.bounded_cache import BoundedCache
from pki.core.ocsp_request import MalformedRequestError, OcspRequest, parse_request
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
from pki.core.values import CertificateState, ReasonCode, serial_hex
from pki.models import Certificate
from pki.services.ocsp_knowledge import Knowledge, NoSigner, learn

log = logging.getLogger(__name__)

VALID_FOR = timedelta(hours=1)
RENEWED_AFTER = timedelta(minutes=30)
FRESH_FOR = timedelta(seconds=0.3)
MAX_CACHED = 50_000
MAX_KEY_OCTETS = 300  # a request about one certificate has 200 at most, unless somebody pads it


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspAnswer:
    """An OCSPResponse; `this_update` and `next_update` are None if caches must not keep it."""

    der: bytes
    this_update: datetime | None = None
    next_update: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and the revision it was made under; from `renew_at` to `ends_at` it is for want of a newer one."""

    revision: int
    answer: OcspAnswer
    made_at: datetime
    renew_at: datetime
    ends_at: datetime


_MALFORMED = OcspAnswer(der=build_error(ErrorStatus.MALFORMED_REQUEST))
_UNAUTHORIZED = OcspAnswer(der=build_error(ErrorStatus.UNAUTHORIZED))
_TRY_LATER = OcspAnswer(der=build_error(ErrorStatus.TRY_LATER))
INTERNAL_ERROR = OcspAnswer(der=build_error(ErrorStatus.INTERNAL_ERROR))


@dataclass(slots=True)
class Responder:
    """One process's responder; thread-safe."""

    _known: dict[str, Knowledge] = field(default_factory=dict)
    _answers: BoundedCache[tuple[str, bytes], _Kept] = field(default_factory=lambda: BoundedCache(MAX_CACHED))
    _statuses: BoundedCache[tuple[UUID, int], tuple[int, Status]] = field(
        default_factory=lambda: BoundedCache(MAX_CACHED)
    )
    _read_again_at: dict[str, datetime] = field(default_factory=dict)
    _reading: Lock = field(default_factory=Lock)

    def answer(self, slug: str, octets: bytes, *, now: datetime) -> OcspAnswer | None:
        """The answer of the issuer `slug` to an OCSPRequest in DER, or None if there is no such issuer."""
        try:
            known = self._look_at(slug, now=now)
        except (DatabaseFault, NoSigner) as error:
            log.warning("OCSP for %s has to wait: %s", slug, type(error).__name__)
            return _TRY_LATER
        if known is None:
            return None
        kept = self._answers.get((slug, octets))
        if kept and kept.revision == known.revision and kept.made_at <= now < kept.renew_at:
            return kept.answer
        return self._answer_anew(slug, octets, known, kept, now=now)

    def _answer_anew(
        self, slug: str, octets: bytes, known: Knowledge, kept: _Kept | None, *, now: datetime
    ) -> OcspAnswer:
        try:
            request = parse_request(octets)
        except MalformedRequestError:
            return _MALFORMED
        if not all(map(known.is_about, request.cert_ids)):
            return _UNAUTHORIZED
        try:
            statuses = [self._status(known, cert_id.serial) for cert_id in request.cert_ids]
        except DatabaseFault as error:
            log.warning("OCSP for %s without its database: %s", slug, type(error).__name__)
            if kept and kept.revision == known.revision and kept.made_at <= now < kept.ends_at:
                return kept.answer
            return _TRY_LATER
        answer = _sign(known, request, statuses, now=now)
        # Any mix of several certificates is asked once; the bound keeps padding out of our memory.
        if answer.next_update and len(statuses) == 1 and len(octets) <= MAX_KEY_OCTETS:
            renew_at = min(now + RENEWED_AFTER, answer.next_update)
            self._answers.put((slug, octets), _Kept(known.revision, answer, now, renew_at, answer.next_update))
        return answer

    def _status(self, known: Knowledge, serial: int) -> Status:
        """The status, from memory if nothing was revoked since; never Unknown from memory, since it may be issued."""
        key = (known.issuer_id, serial)
        kept = self._statuses.get(key)
        if kept and kept[0] == known.revision:
            return kept[1]
        status = read_status(known.issuer_id, serial)
        if not isinstance(status, Unknown):
            self._statuses.put(key, (known.revision, status))
        return status

    def _look_at(self, slug: str, *, now: datetime) -> Knowledge | None:
        known = self._known.get(slug)
        if known is None:
            return self._learn(slug, None, now=now)
        fresh = timedelta(0) <= now - known.read_at < FRESH_FOR
        if fresh or now < self._read_again_at.get(slug, now) or not self._reading.acquire(blocking=False):
            return known  # the last: it is being read by another thread at this moment
        try:
            return self._learn(slug, known, now=now)
        except (DatabaseFault, NoSigner):
            if now >= min(known.read_at + VALID_FOR, known.signer.ends_at):
                raise
            self._read_again_at[slug] = now + FRESH_FOR
            return known  # answers go on from what was known then, and say so in thisUpdate
        finally:
            self._reading.release()

    def _learn(self, slug: str, known: Knowledge | None, *, now: datetime) -> Knowledge | None:
        fresh = learn(slug, known, now=now)
        self._read_again_at.pop(slug, None)
        if fresh is not None:
            self._known[slug] = fresh
        return fresh


def _sign(known: Knowledge, request: OcspRequest, statuses: list[Status], *, now: datetime) -> OcspAnswer:
    this_update = known.read_at.replace(microsecond=0)  # when this was last known to be right (4.2.2.1)
    next_update = min(this_update + VALID_FOR, known.signer.ends_at)
    singles = [
        SingleAnswer(cert_id=cert_id.encoded, status=status, this_update=this_update, next_update=next_update)
        for cert_id, status in zip(request.cert_ids, statuses, strict=True)
    ]
    der = build_response(
        answers=singles,
        produced_at=now,
        nonce=request.nonce,
        key=known.signer.key,
        key_hash=known.signer.key_hash,
        certificate=known.signer.certificate,
    )
    # An unknown serial number may be issued the next moment, and issuing does not raise the revision.
    if request.nonce is not None or any(isinstance(status, Unknown) for status in statuses):
        return OcspAnswer(der=der)
    return OcspAnswer(der=der, this_update=this_update, next_update=next_update)


def read_status(issuer: UUID, serial: int) -> Status:
    """The status of the issuer's certificate with that serial number, as the database has it now."""
    if not 0 < serial < 1 << 160:
        return Unknown()
    found = Certificate.objects.filter(issuer_id=issuer, serial=serial_hex(serial))
    match found.values_list("state", "revoked_at", "reason").first():
        case (CertificateState.ISSUED, _, _):
            return Good()
        case (CertificateState.REVOKED | CertificateState.HELD, datetime() as at, str(reason)):
            return Revoked(at=at, reason=ReasonCode(reason))
        case _:
            return Unknown()
