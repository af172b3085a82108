"""Certificate revocation lists (RFC 5280 5), assembled by hand: an entry's DER is made once, when it is revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pki.core import der
from pki.core.keys import SigningKey, algorithm_identifier, wrap_signed
from pki.core.values import CrlKind, ReasonCode

BACKDATED = timedelta(minutes=5)
"""How far thisUpdate lies back, since a peer whose clock is behind refuses everybody while a CRL is of its future."""
CRL_REASON, INVALIDITY_DATE = "2.5.29.21", "2.5.29.24"
AUTHORITY_KEY_ID, CRL_NUMBER, FRESHEST_CRL = "2.5.29.35", "2.5.29.20", "2.5.29.46"
DELTA_INDICATOR, ISSUING_DISTRIBUTION_POINT = "2.5.29.27", "2.5.29.28"


def encode_entry(
    *, serial: int, revoked_at: datetime, reason: ReasonCode, invalidity_date: datetime | None = None
) -> bytes:
    """One element of revokedCertificates; the reason is left out when it is unspecified (5.3.1)."""
    extensions = []
    if reason is not ReasonCode.UNSPECIFIED:
        extensions.append(der.extension(CRL_REASON, der.integer(reason.number, tag=der.ENUMERATED)))
    if invalidity_date is not None:
        extensions.append(der.extension(INVALIDITY_DATE, der.generalized_time(invalidity_date)))
    tail = der.sequence(*extensions) if extensions else b""
    return der.sequence(der.integer(serial), der.time(revoked_at), tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlFacts:
    """What a CRL says beside its entries. `issuer_name` is the DER of the issuer's Name.

    `base_number` makes it a delta to the full CRL of that number. `shard_url` makes it a shard's, and is what the
    distribution points of its certificates say, octet by octet. `delta_url` is where the deltas to it are.
    """

    issuer_name: bytes
    key_id: bytes
    number: int
    this_update: datetime
    next_update: datetime
    base_number: int | None = None
    shard_url: str = ""
    delta_url: str = ""

    @property
    def kind(self) -> CrlKind:
        """What these facts make of it."""
        if self.base_number is not None:
            return CrlKind.DELTA
        return CrlKind.SHARD if self.shard_url else CrlKind.FULL


def build_crl(facts: CrlFacts, *, entries: Sequence[bytes], key: SigningKey) -> bytes:
    """The DER of a version 2 CRL; `entries` are pieces of any length that make all entries' DER together."""
    return wrap_signed(key, to_be_signed(facts, entries=entries, algorithm=algorithm_identifier(key)))


def to_be_signed(facts: CrlFacts, *, entries: Sequence[bytes], algorithm: bytes) -> bytes:
    """The DER of the TBSCertList (5.1.2); `algorithm` is the AlgorithmIdentifier of the signature to come.

    The entries are copied once, since there may be a million of them.
    """
    size = sum(map(len, entries))
    return der.sequence(
        der.integer(1),
        algorithm,
        facts.issuer_name,
        der.time(facts.this_update),
        der.time(facts.next_update),
        der.header(der.SEQUENCE, size) if size else b"",  # absent if there are none (5.1.2.6)
        *entries,
        der.explicit(0, der.sequence(*_extensions(facts))),
    )


def _extensions(facts: CrlFacts) -> list[bytes]:
    """Of the list. An issuingDistributionPoint says no more than the place: no kind of certificate is left out."""
    found = [
        der.extension(AUTHORITY_KEY_ID, der.sequence(der.tlv(0x80, facts.key_id))),
        der.extension(CRL_NUMBER, der.integer(facts.number)),
    ]
    if facts.base_number is not None:
        found.append(der.extension(DELTA_INDICATOR, der.integer(facts.base_number), critical=True))
    if facts.shard_url:
        point = der.sequence(_distribution_point(facts.shard_url))
        found.append(der.extension(ISSUING_DISTRIBUTION_POINT, point, critical=True))
    if facts.delta_url:
        points = der.sequence(der.sequence(_distribution_point(facts.delta_url)))
        found.append(der.extension(FRESHEST_CRL, points))
    return found


def _distribution_point(url: str) -> bytes:
    """The field distributionPoint with the URL as its fullName (4.2.1.13)."""
    return der.explicit(0, der.explicit(0, der.tlv(0x86, url.encode("ascii"))))
