"""What proves a principal that is known, and until when; remembered as long as what is known of the principal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from joserfc.jwk import ECKey

from brokers.core.access_token import read_access_token
from brokers.services.decision_learning import Known
from devices import queries as devices
from devices.conf import base_url
from devices.core.values import CredentialId, DeviceId
from devices.services import note_password_use
from kernel.core.clock import FOR_EVER
from kernel.core.errors import DomainError
from kernel.services.reconnect import reconnecting
from pki import queries as pki

MOST_PROOFS = 8


class PrincipalProofs(NamedTuple):  # it is made at every question
    """Until when, after `now`, something proves the principal; None if it does not. May raise a database error.

    In a trial nothing counts as used.
    """

    known: Known
    token_keys: Callable[[], Mapping[str, ECKey]]
    now: datetime
    is_trial: bool = False

    def certificate(self, der: bytes) -> datetime | None:
        """The same, of a certificate that was issued here, is good now, and is the principal's."""
        return self._remembered(
            hashlib.sha256(der).digest(), lambda: _proved_until(self.known.device, der, now=self.now)
        )

    def token(self, text: str) -> datetime | None:
        """The same, of a token that was signed here for the principal, and whose credential is good now.

        One that was got for a password is taken where passwords are.
        """
        token = read_access_token(text, issuer=base_url(), keys=self.token_keys(), now=self.now)
        principal = self.known.subject.principal
        named = (principal.domain, principal.auth_id, principal.client_id)
        if token is None or (token.domain, token.auth_id, token.client_id) != named:
            return None
        backed_until = self._remembered(
            token.credential.bytes + token.epoch.to_bytes(8),
            lambda: devices.token_backed_until(
                device=self.known.device,
                credential=CredentialId(token.credential),
                epoch=token.epoch,
                passwords=self.known.passwords,
                now=self.now,
            ),
        )
        return min(token.expires_at, backed_until) if backed_until else None

    def password(self, text: str) -> datetime | None:
        """The same, of a password that was issued to the principal and is good now, where the broker takes them."""
        found = [each for each in self.known.passwords if each.verifier.is_of(text) and each.is_good(self.now)]
        if not found:
            return None
        if not self.is_trial:
            note_password_use(password=found[0].id, now=self.now)
        return found[0].not_after or FOR_EVER

    def _remembered(self, key: bytes, ask: Callable[[], datetime | None]) -> datetime | None:
        """What `ask` said of that key when it was asked first."""
        proofs = self.known.proofs
        if key in proofs:
            until = proofs[key]
        else:
            until = reconnecting(ask)
            if len(proofs) < MOST_PROOFS:
                proofs[key] = until
        return until if until and self.now < until else None


def _proved_until(device: DeviceId, der: bytes, *, now: datetime) -> datetime | None:
    try:
        certificate = pki.verify_presented(chain=[x509.load_der_x509_certificate(der)], now=now)
    except (DomainError, ValueError):
        return None
    owner = devices.device_of_certificate(certificate=certificate.id)
    return certificate.not_after if owner == device else None
