"""Answers to plain questions of which only the signature is kept: put together from what they have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pki.core import der
from pki.core.ocsp_edition import Imprint, Standing
from pki.core.ocsp_response import Good, Revoked, SingleAnswer, Status, assemble, to_be_signed
from pki.core.values import ReasonCode

_PLACE = b"\x55" * 20
_REASONS = {reason.number: reason for reason in ReasonCode}


def status_of(standing: Standing) -> Status:
    """Good or revoked, as the certificate stands."""
    if not standing.revoked_at:
        return Good()
    return Revoked(at=datetime.fromtimestamp(standing.revoked_at, UTC), reason=_REASONS[standing.reason_number])


@dataclass(slots=True)
class Frames:
    """What stands around a ResponseData and its signature, by their sizes."""

    algorithm: bytes
    certificate: bytes
    _known: dict[tuple[int, int], tuple[bytes, bytes, bytes]] = field(default_factory=dict)

    def around(self, tbs: bytes, signature: bytes) -> bytes:
        """The OCSPResponse."""
        sizes = len(tbs), len(signature)
        frame = self._known.get(sizes)
        if frame is None:
            frame = self._known[sizes] = self._build(*sizes)
        return b"".join((frame[0], tbs, frame[1], signature, frame[2]))

    def _build(self, tbs_octets: int, signature_octets: int) -> tuple[bytes, bytes, bytes]:
        tbs, signature = bytes(tbs_octets), bytes(signature_octets)
        whole = assemble(tbs, algorithm=self.algorithm, signature=signature, certificate=self.certificate)
        behind = len(der.explicit(0, der.sequence(self.certificate)))
        between = len(self.algorithm) + len(der.bit_string(signature)) - signature_octets
        front = len(whole) - behind - signature_octets - between - tbs_octets
        middle = front + tbs_octets
        return whole[:front], whole[middle : middle + between], whole[-behind:]


@dataclass(slots=True)
class PlainAnswers:
    """What is signed, and what is answered, to plain questions under one imprint.

    `cert_id_head` is a CertID without its serial number, which has 20 octets; `key_hash` names the signer.
    """

    imprint: Imprint
    cert_id_head: bytes
    key_hash: bytes
    this_update: datetime = field(init=False)
    next_update: datetime = field(init=False)
    _good: tuple[bytes, bytes] = field(init=False)
    _frames: Frames = field(init=False)

    def __post_init__(self) -> None:
        self.this_update = datetime.fromtimestamp(self.imprint.this_update, UTC)
        self.next_update = datetime.fromtimestamp(self.imprint.next_update, UTC)
        self._frames = Frames(self.imprint.algorithm, self.imprint.signer)
        front, _, back = self._build(_PLACE, Good()).partition(_PLACE)
        self._good = front, back

    def to_be_signed(self, serial: bytes, standing: Standing) -> bytes:
        """The ResponseData about one certificate."""
        if not standing.revoked_at:
            return self._good[0] + serial + self._good[1]
        return self._build(serial, status_of(standing))

    def signed(self, tbs: bytes, signature: bytes) -> bytes:
        """The OCSPResponse."""
        return self._frames.around(tbs, signature)

    def _build(self, serial: bytes, status: Status) -> bytes:
        single = SingleAnswer(
            cert_id=self.cert_id_head + serial,
            status=status,
            this_update=self.this_update,
            next_update=self.next_update,
        )
        return to_be_signed(answers=[single], produced_at=self.this_update, nonce=None, key_hash=self.key_hash)
