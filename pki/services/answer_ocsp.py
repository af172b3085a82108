"""Answering OCSP requests (RFC 6960) from memory, also while the database is away.

Each process keeps, per issuer, its signer, and an index of its certificates up to a revision. The revision is read
again when it is older than a third of a second: so a revocation shows within a second everywhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from django.db import Error as DatabaseFault

from kernel.core.errors import DomainError
from kernel.core.lane import lane
from kernel.services.reconnect import reconnecting
from pki.core.bounded_cache import BoundedCache
from pki.core.ocsp_edition import Standing
from pki.core.ocsp_live import LiveAnswers
from pki.core.ocsp_request import MalformedRequestError, parse_request
from pki.core.values import IssuerKind, IssuerState
from pki.models import Issuer
from pki.services.ocsp_answers import (
    MALFORMED,
    RENEWED_AFTER,
    TRY_LATER,
    UNAUTHORIZED,
    VALID_FOR,
    OcspAnswer,
    find_standing,
    next_turn,
    prepared_answer,
    sign_answer,
)
from pki.services.ocsp_knowledge import Knowledge, NoSigner, NotResponsible, Signer, learn

log = logging.getLogger(__name__)

FRESH_FOR = timedelta(seconds=0.3)
YOUNG_FOR = timedelta(seconds=0.6)  # what is older is answered with only if it can not be read again
LONGEST_WAIT_SECONDS = 2.0
MAX_CACHED_OCTETS = 16 << 20
MAX_KEPT_UP = 50
MAX_KEY_OCTETS = 300  # a request about one certificate has 200 at most, unless somebody pads it


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer about one certificate, right from `made_at` to `renew_at` while that stands so, and by that signer."""

    serial: int
    standing: Standing
    signer: Signer
    answer: OcspAnswer
    made_at: datetime
    renew_at: datetime


@dataclass(slots=True)
class Responder:
    """One process's responder; thread-safe. Without editions it asks the database about each certificate."""

    with_editions: bool = True
    _known: dict[str, Knowledge] = field(default_factory=dict)
    _answers: BoundedCache[tuple[str, bytes], _Kept] = field(
        default_factory=lambda: BoundedCache(MAX_CACHED_OCTETS, weigh=lambda kept: len(kept.answer.der) + 1_000)
    )
    _live: dict[str, LiveAnswers] = field(default_factory=dict)
    _read_again_at: dict[str, datetime] = field(default_factory=dict)
    _reading: dict[str, Lock] = field(default_factory=dict)
    _begun_at: dict[str, datetime] = field(default_factory=dict)

    def answer(self, slug: str, octets: bytes, *, now: datetime) -> OcspAnswer | None:
        """The answer of the issuer `slug` to an OCSPRequest in DER, or None if there is no such issuer."""
        try:
            known = self._look_at(slug, now=now)
        except NotResponsible:
            return UNAUTHORIZED
        except (DatabaseFault, NoSigner) as error:
            log.warning("OCSP for %s has to wait: %s", slug, type(error).__name__)
            return TRY_LATER
        if known is None:
            return None
        return self._recall(slug, octets, known, now=now) or self._sign(slug, octets, known, now=now)

    def answer_at_once(self, slug: str, octets: bytes, *, now: datetime) -> OcspAnswer | None:
        """An answer that needs no look at the database and no parser, if there is one at this moment."""
        known = self._known.get(slug)
        if known is None or not timedelta(0) <= now - known.read_at < FRESH_FOR:
            return None
        return self._quickly_signed(slug, octets, known, now=now) or self._recall(slug, octets, known, now=now)

    def keep_up(self, *, now: datetime) -> None:
        """Learns what happened at the issuers, so that it is known if the database goes away before anybody asks.

        Of a great many only those that were asked about, and the newest. Raises a database error.
        """
        rows = Issuer.objects.exclude(kind=IssuerKind.TRUSTED).exclude(state=IssuerState.RETIRED).order_by("-id")
        newest = reconnecting(lambda: [*rows.values_list("slug", flat=True)[:MAX_KEPT_UP]])
        for slug in {*self._known, *newest}:
            try:
                self._look_at(slug, now=now)
            except (DatabaseFault, DomainError) as error:
                log.debug("nothing new of %s: %s", slug, type(error).__name__)

    def _quickly_signed(self, slug: str, octets: bytes, known: Knowledge, *, now: datetime) -> OcspAnswer | None:
        """The answer to a question with a nonce about a certificate that is good."""
        serial, nonce = known.question.with_nonce(octets)
        if not serial or known.compromised_at:
            return None
        standing = known.index.find(int.from_bytes(serial, "big"))
        if standing is None or standing.revoked_at or standing.ends_at <= now.timestamp():
            return None
        this_update, produced_at = known.read_at.replace(microsecond=0), now.replace(microsecond=0)
        live = self._live.get(slug)
        is_of_now = live and (live.this_update, live.produced_at) == (this_update, produced_at)
        if live is None or not is_of_now or live.frames is not known.signer.frames:
            live = self._live[slug] = LiveAnswers(
                known.question.cert_id_head,
                known.signer.key_hash,
                this_update,
                min(this_update + VALID_FOR, known.signer.ends_at),
                produced_at,
                known.signer.signing.sign,
                known.signer.frames,
            )
        return OcspAnswer(der=live.good(serial, nonce))

    def _recall(self, slug: str, octets: bytes, known: Knowledge, *, now: datetime) -> OcspAnswer | None:
        """The answer that was prepared, or that was signed before, if it is right still."""
        prepared = prepared_answer(known, octets, now=now)
        if prepared:
            return prepared
        kept = self._answers.get((slug, octets))
        if kept is None or not kept.made_at <= now < kept.renew_at or kept.signer is not known.signer:
            return None
        is_right = known.index.find(kept.serial) == kept.standing and not known.compromised_at
        return kept.answer if is_right else None

    def _sign(self, slug: str, octets: bytes, known: Knowledge, *, now: datetime) -> OcspAnswer:
        try:
            request = parse_request(octets)
        except MalformedRequestError:
            return MALFORMED
        if not all(map(known.is_about, request.cert_ids)):
            return UNAUTHORIZED
        try:
            standings = [find_standing(known, cert_id.serial) for cert_id in request.cert_ids]
        except DatabaseFault as error:
            log.warning("OCSP for %s without its database: %s", slug, type(error).__name__)
            return TRY_LATER
        answer = sign_answer(known, request, standings, now=now)
        # Any mix of several certificates is asked once; the bound keeps padding out of our memory.
        if answer.next_update and standings[0] and len(standings) == 1 and len(octets) <= MAX_KEY_OCTETS:
            renew_at = min(now + RENEWED_AFTER, answer.next_update, next_turn(standings[0], now=now))
            serial = request.cert_ids[0].serial
            self._answers.put((slug, octets), _Kept(serial, standings[0], known.signer, answer, now, renew_at))
        return answer

    def _look_at(self, slug: str, *, now: datetime) -> Knowledge | None:
        known = self._known.get(slug)
        if known is None:
            return self._learn(slug, None, now=now)
        age = now - known.read_at
        if timedelta(0) <= age < FRESH_FOR or self._has_to_wait(slug, now=now):
            return known
        reading = self._reading.setdefault(slug, Lock())
        is_young = timedelta(0) <= age < YOUNG_FOR
        patience = 0.0 if is_young else self._patience(slug, now=now)
        if patience:
            lane.leave()
        if not reading.acquire(timeout=patience):
            return known  # the last: it is being read by another thread at this moment
        try:
            self._begun_at[slug] = now
            return self._look_again(slug, known, now=now)
        finally:
            self._begun_at.pop(slug, None)
            reading.release()

    def _patience(self, slug: str, *, now: datetime) -> float:
        """For how many seconds to wait for another thread that reads: all together until it has had its time."""
        waited = (now - self._begun_at.get(slug, now)).total_seconds()
        return min(LONGEST_WAIT_SECONDS, max(0.0, LONGEST_WAIT_SECONDS - waited))

    def _has_to_wait(self, slug: str, *, now: datetime) -> bool:
        """Whether the database was away a moment ago; after a clock was set back nothing has to wait."""
        again_at = self._read_again_at.get(slug, now)
        return now < again_at <= now + FRESH_FOR

    def _look_again(self, slug: str, known: Knowledge, *, now: datetime) -> Knowledge | None:
        latest = self._known.get(slug, known)
        if latest is not known or self._has_to_wait(slug, now=now):
            return latest  # another thread read it, or could not, while this one waited
        try:
            return self._learn(slug, known, now=now)
        except (DatabaseFault, NoSigner):
            if now >= min(known.read_at + VALID_FOR, known.signer.ends_at):
                raise
            self._read_again_at[slug] = now + FRESH_FOR
            return known  # answers go on from what was known then, and say so in thisUpdate

    def _learn(self, slug: str, known: Knowledge | None, *, now: datetime) -> Knowledge | None:
        fresh = reconnecting(lambda: learn(slug, known, now=now, with_edition=self.with_editions))
        self._read_again_at.pop(slug, None)
        if fresh is not None:
            self._known[slug] = fresh
        return fresh
