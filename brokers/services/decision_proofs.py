"""What proves a principal that is known, and until when; remembered as long as what is known of the principal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from brokers.services.decision_memory import Known
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.core.errors import DomainError
from kernel.services.reconnect import reconnecting
from pki import queries as pki

MOST_PROOFS = 8


@dataclass(frozen=True, slots=True)
class PrincipalProofs:
    """Until when, after `now`, something proves the principal; None if it does not. May raise a database error."""

    known: Known
    now: datetime

    def certificate(self, der: bytes) -> datetime | None:
        """The same, of a certificate that was issued here, is good now, and is the principal's."""
        digest, proofs = hashlib.sha256(der).digest(), self.known.proofs
        if digest in proofs:
            until = proofs[digest]
        else:
            until = reconnecting(lambda: _proved_until(self.known.device, der, now=self.now))
            if len(proofs) < MOST_PROOFS:
                proofs[digest] = until
        return until if until and self.now < until else None

    def token(self, text: str) -> datetime | None:  # noqa: ARG002 - nobody has one yet
        """None: no token is known yet."""
        return None

    def password(self, text: str) -> datetime | None:  # noqa: ARG002 - nobody has one yet
        """None: no password is known yet."""
        return None


def _proved_until(device: DeviceId, der: bytes, *, now: datetime) -> datetime | None:
    try:
        certificate = pki.verify_presented(chain=[x509.load_der_x509_certificate(der)], now=now)
    except (DomainError, ValueError):
        return None
    owner = devices.device_of_certificate(certificate=certificate.id)
    return certificate.not_after if owner == device else None
