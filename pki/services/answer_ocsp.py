"""Answering OCSP requests (RFC 6960): from memory while nothing is revoked, or while the database is away.

Each process keeps, per issuer, its signer and the issuer's revision. The revision is read again when it is older than
a third of a second; an answer made under an older one is made anew. So a revocation shows within a second everywhere.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from cryptography import x509
from django.db import DatabaseError

from kernel.core.errors import Unavailable
from pki.core.keys import SigningKey, subject_public_key
from pki.core.ocsp_request import HASHES, CertId, MalformedRequestError, OcspRequest, parse_request
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
from pki.core.values import CertificateState, KeyId, ReasonCode, serial_hex
from pki.models import Certificate, Issuer, OcspSigner
from pki.services.custody import custody

log = logging.getLogger(__name__)

VALID_FOR = timedelta(hours=1)
FRESH_FOR = timedelta(seconds=0.3)
SIGNER_FRESH_FOR = timedelta(minutes=5)
MAX_CACHED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspAnswer:
    """An OCSPResponse; `this_update` and `next_update` are None if caches must not keep it."""

    der: bytes
    this_update: datetime | None = None
    next_update: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signer:
    key: SigningKey
    key_hash: bytes
    certificate: bytes
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What this process knows of an issuer. `name_hashes` is by name of hash: (issuer name hash, issuer key hash)."""

    issuer_id: UUID
    revision: int
    hashes: dict[str, tuple[bytes, bytes]]
    signer: _Signer
    read_at: datetime
    signer_read_at: datetime


@dataclass(slots=True)
class Responder:
    """One process's responder; thread-safe."""

    _known: dict[str, _Known] = field(default_factory=dict)
    _cache: OrderedDict[tuple[str, bytes], tuple[int, OcspAnswer]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, slug: str, octets: bytes, *, now: datetime) -> OcspAnswer | None:
        """The answer of the issuer `slug`, or None if there is no such issuer."""
        try:
            request = parse_request(octets)
        except MalformedRequestError:
            return OcspAnswer(der=build_error(ErrorStatus.MALFORMED_REQUEST))
        try:
            known = self._look_at(slug, now=now)
        except DatabaseError:
            log.exception("OCSP without database, and nothing known of %s", slug)
            return OcspAnswer(der=build_error(ErrorStatus.TRY_LATER))
        if known is None:
            return None
        if not all(_is_ours(cert_id, known) for cert_id in request.cert_ids):
            return OcspAnswer(der=build_error(ErrorStatus.UNAUTHORIZED))
        return self._answer_known(slug, known, request, now=now)

    def _answer_known(self, slug: str, known: _Known, request: OcspRequest, *, now: datetime) -> OcspAnswer:
        cache_key = (slug, b"".join(cert_id.encoded for cert_id in request.cert_ids))
        if request.nonce is None:
            with self._lock:
                revision, cached = self._cache.get(cache_key, (-1, None))
            if (
                cached
                and revision == known.revision
                and cached.next_update
                and now < cached.next_update - VALID_FOR / 2
            ):
                return cached
        try:
            answer = _make(known, request, now=now)
        except DatabaseError:
            log.warning("OCSP for %s without database", slug)
            return OcspAnswer(der=build_error(ErrorStatus.TRY_LATER))
        if answer.next_update is not None:
            self._keep(cache_key, known.revision, answer)
        return answer

    def _keep(self, cache_key: tuple[str, bytes], revision: int, answer: OcspAnswer) -> None:
        with self._lock:
            self._cache[cache_key] = (revision, answer)
            self._cache.move_to_end(cache_key)
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)

    def _look_at(self, slug: str, *, now: datetime) -> _Known | None:
        known = self._known.get(slug)
        if known and timedelta(0) <= now - known.read_at < FRESH_FOR:
            return known
        try:
            fresh = _refresh(slug, known, now=now)
        except DatabaseError:
            if known is None or known.signer.ends_at <= now:
                raise
            return known  # answers go on from memory, none past its nextUpdate
        if fresh is not None:
            self._known[slug] = fresh
        return fresh


def _refresh(slug: str, known: _Known | None, *, now: datetime) -> _Known | None:
    if known and timedelta(0) <= now - known.signer_read_at < SIGNER_FRESH_FOR and now < known.signer.ends_at:
        revision = Issuer.objects.filter(slug=slug).values_list("revision", flat=True).first()
        return None if revision is None else replace(known, revision=revision, read_at=now)
    issuer = Issuer.objects.filter(slug=slug).first()
    if issuer is None:
        return None
    certificate = x509.load_der_x509_certificate(bytes(issuer.der))
    name, key = certificate.subject.public_bytes(), subject_public_key(certificate.public_key())
    return _Known(
        issuer_id=issuer.id,
        revision=issuer.revision,
        hashes={each: (hashlib.new(each, name).digest(), hashlib.new(each, key).digest()) for each in HASHES.values()},
        signer=_open_signer(issuer, now=now),
        read_at=now,
        signer_read_at=now,
    )


def _open_signer(issuer: Issuer, *, now: datetime) -> _Signer:
    signers = OcspSigner.objects.filter(issuer=issuer, certificate__not_after__gt=now).select_related("certificate")
    row = signers.order_by("-pk").first()
    if row is None or row.certificate.der is None:
        raise DatabaseError(f"no OCSP signer of {issuer.slug} is valid now")
    der = bytes(row.certificate.der)
    public_key = x509.load_der_x509_certificate(der).public_key()
    return _Signer(
        key=custody.open(KeyId(row.key_id)),
        key_hash=hashlib.sha1(subject_public_key(public_key), usedforsecurity=False).digest(),
        certificate=der,
        ends_at=row.certificate.not_after,
    )


def _is_ours(cert_id: CertId, known: _Known) -> bool:
    return known.hashes.get(cert_id.hash_name) == (cert_id.issuer_name_hash, cert_id.issuer_key_hash)


def _make(known: _Known, request: OcspRequest, *, now: datetime) -> OcspAnswer:
    this_update = now.replace(microsecond=0)
    next_update = min(this_update + VALID_FOR, known.signer.ends_at)
    statuses = [_status(known, cert_id) for cert_id in request.cert_ids]
    singles = [
        SingleAnswer(cert_id=cert_id.encoded, status=status, this_update=this_update, next_update=next_update)
        for cert_id, status in zip(request.cert_ids, statuses, strict=True)
    ]
    der = build_response(
        answers=singles,
        produced_at=this_update,
        nonce=request.nonce,
        key=known.signer.key,
        key_hash=known.signer.key_hash,
        certificate=known.signer.certificate,
    )
    # An unknown serial number may be issued the next moment, and issuing does not raise the revision.
    if request.nonce is not None or Unknown() in statuses:
        return OcspAnswer(der=der)
    return OcspAnswer(der=der, this_update=this_update, next_update=next_update)


def _status(known: _Known, cert_id: CertId) -> Status:
    if cert_id.serial <= 0:
        return Unknown()
    found = Certificate.objects.filter(issuer_id=known.issuer_id, serial=serial_hex(cert_id.serial))
    row = found.values_list("state", "revoked_at", "reason").first()
    match row:
        case (CertificateState.ISSUED, _, _):
            return Good()
        case (CertificateState.REVOKED | CertificateState.HELD, datetime() as at, reason):
            return Revoked(at=at, reason=ReasonCode(reason))
        case _:
            return Unknown()


class NotRevokedYet(Unavailable):
    """The responder does not say revoked yet."""

    code = "not-revoked-yet"


def confirm_revocation(*, holder: str, now: datetime) -> str:
    """That a responder says revoked of each revoked certificate of the holder. Raises NotRevokedYet."""
    rows = Certificate.objects.filter(holder=holder, state=CertificateState.REVOKED).select_related("issuer")
    for row in rows:
        known = _refresh(row.issuer.slug, None, now=now)
        asked = CertId("", b"", b"", int(row.serial, 16), b"")
        if known is None or not isinstance(_status(known, asked), Revoked):
            raise NotRevokedYet("OCSP does not say revoked yet; it is asked again.")
    return f"OCSP says revoked for {len(rows)} certificate{'' if len(rows) == 1 else 's'}"
