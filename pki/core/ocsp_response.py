"""Building OCSP responses (RFC 6960 4.2), assembled by hand for speed and read back by others in the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from pki.core import der
from pki.core.keys import SigningKey
from pki.core.ocsp_signing import choose_signing
from pki.core.values import ReasonCode

_BASIC, _NONCE, _ARCHIVE_CUTOFF = (f"1.3.6.1.5.5.7.48.1.{number}" for number in (1, 2, 6))


class ErrorStatus(IntEnum):
    """OCSPResponseStatus other than successful; such an answer is not signed."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Issued by us, and not revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Revoked at that time."""

    at: datetime
    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Never issued by this issuer."""


Status = Good | Revoked | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleAnswer:
    """The status of one certificate; `cert_id` is its DER as it was asked.

    `archive_cutoff`: for one that has ended, since when ended ones are known still (4.4.4).
    """

    cert_id: bytes
    status: Status
    this_update: datetime
    next_update: datetime
    archive_cutoff: datetime | None = None


def build_error(status: ErrorStatus) -> bytes:
    """An unsigned answer."""
    return der.sequence(der.integer(status, tag=der.ENUMERATED))


def build_response(
    *,
    answers: Sequence[SingleAnswer],
    produced_at: datetime,
    nonce: bytes | None,
    key: SigningKey,
    key_hash: bytes,
    certificate: bytes,
    preferred: Sequence[bytes] = (),
) -> bytes:
    """A signed answer with its signer's certificate; `key_hash` is SHA-1 over the signer's public key (4.2.1).

    `preferred`: OIDs, in DER, of the signatures that the client would rather have; the best that the key can do is.
    """
    signing = choose_signing(key, preferred)
    tbs = to_be_signed(answers=answers, produced_at=produced_at, nonce=nonce, key_hash=key_hash)
    return assemble(tbs, algorithm=signing.algorithm, signature=signing.sign(tbs), certificate=certificate)


def to_be_signed(
    *, answers: Sequence[SingleAnswer], produced_at: datetime, nonce: bytes | None, key_hash: bytes
) -> bytes:
    """The ResponseData."""
    extensions = b""
    if nonce is not None:
        extensions = der.explicit(1, der.sequence(der.extension(_NONCE, der.octet_string(nonce))))
    return der.sequence(
        der.explicit(2, der.octet_string(key_hash)),
        der.generalized_time(produced_at),
        der.sequence(*(_single(answer) for answer in answers)),
        extensions,
    )


def assemble(tbs: bytes, *, algorithm: bytes, signature: bytes, certificate: bytes) -> bytes:
    """The OCSPResponse around a ResponseData and its signature."""
    basic = der.sequence(tbs, algorithm, der.bit_string(signature), der.explicit(0, der.sequence(certificate)))
    body = der.explicit(0, der.sequence(der.oid(_BASIC), der.octet_string(basic)))
    return der.sequence(der.integer(0, tag=der.ENUMERATED), body)


def _single(answer: SingleAnswer) -> bytes:
    extensions = b""
    if answer.archive_cutoff:
        cutoff = der.extension(_ARCHIVE_CUTOFF, der.generalized_time(answer.archive_cutoff))
        extensions = der.explicit(1, der.sequence(cutoff))
    return der.sequence(
        answer.cert_id,
        _status(answer.status),
        der.generalized_time(answer.this_update),
        der.explicit(0, der.generalized_time(answer.next_update)),
        extensions,
    )


def _status(status: Status) -> bytes:
    match status:
        case Good():
            return der.tlv(0x80)
        case Unknown():
            return der.tlv(0x82)
        case Revoked(at=at, reason=ReasonCode.UNSPECIFIED):
            return der.tlv(0xA1, der.generalized_time(at))
        case Revoked(at=at, reason=reason):
            number = der.explicit(0, der.integer(reason.number, tag=der.ENUMERATED))
            return der.tlv(0xA1, der.generalized_time(at), number)
