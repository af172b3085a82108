"""Making an issuer's next edition: every certificate's standing, with a signature ready where that is quick.

It is bounded work: a run that is not done in its time leaves a draft, which the next run goes on with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from kernel.services.alone import alone
from pki.conf import ocsp_retention
from pki.core.keys import SigningKey
from pki.core.ocsp_edition import (
    DamagedEditionError,
    EditionWriter,
    Imprint,
    Standing,
    imprint_of,
    key_of,
    serial_in,
)
from pki.core.ocsp_plain import PlainAnswers
from pki.core.ocsp_request import PlainQuestion, issuer_hashes
from pki.core.ocsp_signing import choose_signing
from pki.core.values import CertificateState, IssuerId, serial_hex
from pki.models import Certificate, Issuer
from pki.services.ocsp_answers import RENEWED_AFTER, VALID_FOR
from pki.services.ocsp_index import FACTS, MAX_CHANGES, edition_path, standing_of
from pki.services.ocsp_knowledge import Signer, current_signer, key_hash_of

log = logging.getLogger(__name__)

FEWEST = 5_000  # an index in memory and a cache of answers carry fewer by themselves
PAGE = 5_000
DRAFT_ENDS = timedelta(minutes=20)
_UNSIGNED_FOR = timedelta(minutes=11)  # a request that is older is given up, or committed and known
_PLAIN_SERIAL_OCTETS = 20
Row = tuple[str, str, datetime, datetime | None, str]


class Progress(StrEnum):
    """How far an issuer's edition has come."""

    NOT_NEEDED = "not needed"
    FRESH = "fresh"
    ELSEWHERE = "another process is at it"
    DRAFT = "to be continued"
    FINISHED = "finished"


def prepare_ocsp_answers(*, issuer: IssuerId, now: datetime, seconds: float = 20.0) -> Progress:
    """Makes an edition, or a part of it within about `seconds`, if the issuer has many certificates and it is time.

    Raises NoSigner, NotResponsible, WrongKey.
    """
    row = Issuer.objects.select_related("parent").get(id=issuer)
    path = edition_path(issuer)
    if Certificate.objects.filter(issuer_id=issuer)[:FEWEST].count() < FEWEST:
        return Progress.NOT_NEEDED
    if _is_fresh(path, row, now=now):
        return Progress.FRESH
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with alone(path.with_suffix(".lock")) as is_alone:
        return _go_on(path, row, now=now, seconds=seconds) if is_alone else Progress.ELSEWHERE


def _is_fresh(path: Path, issuer: Issuer, *, now: datetime) -> bool:
    """Whether the edition is young, and little changed since."""
    try:
        imprint = imprint_of(path)
    except (FileNotFoundError, DamagedEditionError):
        return False
    is_young = timedelta(0) <= now - _at(imprint) < RENEWED_AFTER
    return is_young and issuer.revision - imprint.revision < MAX_CHANGES // 2


def _go_on(path: Path, issuer: Issuer, *, now: datetime, seconds: float) -> Progress:
    ends_at = time.monotonic() + seconds
    signer, draft = current_signer(issuer, now=now), path.with_suffix(".draft")
    draft.touch(mode=0o600)
    with draft.open("r+b") as file:
        try:
            writer = EditionWriter.resume(file)
        except DamagedEditionError:
            writer = None
        if writer is None or not _is_going(writer.imprint, signer, now=now):
            writer = EditionWriter.begin(file, _imprint(issuer, signer, now=now))
        prepare = _Preparing(issuer, signer, writer.imprint)
        while page := _page(issuer, writer.last, now=now):
            if time.monotonic() >= ends_at:
                return Progress.DRAFT
            writer.append(prepare.record(row) for row in page)
        count = writer.finish()
    if count:
        draft.replace(path)
    log.info("OCSP of %s is prepared for %d certificates", issuer.slug, count)
    return Progress.FINISHED


def _is_going(imprint: Imprint, signer: Signer, *, now: datetime) -> bool:
    """Whether a draft is worth going on with."""
    return imprint.signer in {b"", signer.certificate} and timedelta(0) <= now - _at(imprint) < DRAFT_ENDS


def _imprint(issuer: Issuer, signer: Signer, *, now: datetime) -> Imprint:
    """Of an edition that begins now: what changes from now on is the indexes' to know."""
    width = _signature_octets(signer.key)
    milliseconds = int((now - _UNSIGNED_FOR).timestamp() * 1000)  # the upper 48 bits of a UUIDv7
    return Imprint(
        revision=issuer.revision,
        newest=UUID(int=milliseconds << 80).hex,
        this_update=int(now.timestamp()),
        next_update=int(min(now + VALID_FOR, signer.ends_at).timestamp()),
        signer=signer.certificate if width else b"",
        algorithm=choose_signing(signer.key).algorithm if width else b"",
        signature_octets=width,
    )


def _signature_octets(key: SigningKey) -> int:
    """The largest signature, of keys that make a million in minutes and keep them in a hundred megabytes; else 0."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return 2 * (key.curve.key_size // 8) + 8  # a SEQUENCE of two INTEGERs, each perhaps with a zero before it
    return 64 if isinstance(key, ed25519.Ed25519PrivateKey) else 0


def _page(issuer: Issuer, last: bytes, *, now: datetime) -> Sequence[Row]:
    """The next certificates by serial number, without those that nobody remembers any more."""
    rows = Certificate.objects.filter(issuer=issuer, not_after__gte=now - ocsp_retention())
    rows = rows.exclude(state=CertificateState.REQUESTED).order_by("serial")
    if last:
        rows = rows.filter(serial__gt=serial_hex(serial_in(last)))
    return [*rows.values_list("serial", *FACTS)[:PAGE]]


class _Preparing:
    """Turns rows into an edition's records."""

    def __init__(self, issuer: Issuer, signer: Signer, imprint: Imprint) -> None:
        question = PlainQuestion.of(issuer_hashes(x509.load_der_x509_certificate(bytes(issuer.der))))
        self._answers = PlainAnswers(imprint, question.cert_id_head, key_hash_of(signer.certificate))
        self._sign = choose_signing(signer.key).sign if imprint.signature_octets else None
        self._now = imprint.this_update

    def record(self, row: Row) -> tuple[bytes, Standing, bytes]:
        """Key, standing, and the signature over the plain answer; none for a certificate that has ended."""
        serial, state, not_after, revoked_at, reason = row
        standing = standing_of(state, not_after, revoked_at, reason)
        assert standing is not None
        key = key_of(int(serial, 16))
        octets = key[:_PLAIN_SERIAL_OCTETS]
        is_plain = key[-1] == _PLAIN_SERIAL_OCTETS and 0 < octets[0] < 0x80 and standing.ends_at > self._now
        if self._sign is None or not is_plain:
            return key, standing, b""
        return key, standing, self._sign(self._answers.to_be_signed(octets, standing))


def _at(imprint: Imprint) -> datetime:
    return datetime.fromtimestamp(imprint.this_update, tz=UTC)
