"""Good answers with a nonce, signed when asked: put together from what those of the same second have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from pki.core.ocsp_plain import Frames
from pki.core.ocsp_response import Good, SingleAnswer, to_be_signed

_PLACE = b"\x55" * 20


@dataclass(slots=True)
class LiveAnswers:
    """Answers about certificates whose CertID is `cert_id_head` and a serial number of 20 octets."""

    cert_id_head: bytes
    key_hash: bytes
    this_update: datetime
    next_update: datetime
    produced_at: datetime
    sign: Callable[[bytes], bytes]
    frames: Frames
    _around: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)

    def good(self, serial: bytes, nonce: bytes) -> bytes:
        """The OCSPResponse that says good of one certificate."""
        around = self._around.get(len(nonce))
        if around is None:
            around = self._around[len(nonce)] = self._build(len(nonce))
        tbs = b"".join((around[0], serial, around[1], nonce))
        return self.frames.around(tbs, self.sign(tbs))

    def _build(self, nonce_octets: int) -> tuple[bytes, bytes]:
        """What stands before the serial number, and before the nonce, which is the last."""
        single = SingleAnswer(
            cert_id=self.cert_id_head + _PLACE,
            status=Good(),
            this_update=self.this_update,
            next_update=self.next_update,
        )
        tbs = to_be_signed(
            answers=[single], produced_at=self.produced_at, nonce=bytes(nonce_octets), key_hash=self.key_hash
        )
        front, _, rest = tbs.partition(_PLACE)
        return front, rest[:-nonce_octets]
