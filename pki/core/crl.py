"""Certificate revocation lists (RFC 5280 5), assembled by hand: an entry's DER is made once, when it is revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pki.core import der
from pki.core.keys import SigningKey, algorithm_identifier, wrap_signed
from pki.core.values import ReasonCode

_CRL_REASON, _INVALIDITY_DATE = "2.5.29.21", "2.5.29.24"
_AUTHORITY_KEY_ID, _CRL_NUMBER = "2.5.29.35", "2.5.29.20"


def encode_entry(
    *, serial: int, revoked_at: datetime, reason: ReasonCode, invalidity_date: datetime | None = None
) -> bytes:
    """One element of revokedCertificates; the reason is left out when it is unspecified (5.3.1)."""
    extensions = []
    if reason is not ReasonCode.UNSPECIFIED:
        extensions.append(der.extension(_CRL_REASON, der.integer(reason.number, tag=der.ENUMERATED)))
    if invalidity_date is not None:
        extensions.append(der.extension(_INVALIDITY_DATE, der.generalized_time(invalidity_date)))
    tail = der.sequence(*extensions) if extensions else b""
    return der.sequence(der.integer(serial), der.time(revoked_at), tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlFacts:
    """What a CRL says beside its entries. `issuer_name` is the DER of the issuer's Name."""

    issuer_name: bytes
    key_id: bytes
    number: int
    this_update: datetime
    next_update: datetime


def build_crl(facts: CrlFacts, *, entries: bytes, key: SigningKey) -> bytes:
    """The DER of a full version 2 CRL; `entries` is every entry's DER, joined."""
    key_id = der.extension(_AUTHORITY_KEY_ID, der.sequence(der.tlv(0x80, facts.key_id)))
    number = der.extension(_CRL_NUMBER, der.integer(facts.number))
    return wrap_signed(
        key,
        der.sequence(
            der.integer(1),
            algorithm_identifier(key),
            facts.issuer_name,
            der.time(facts.this_update),
            der.time(facts.next_update),
            der.sequence(entries) if entries else b"",
            der.explicit(0, der.sequence(key_id, number)),
        ),
    )
