"""Who stands behind a certificate whose key was proved, or a password: somebody whom brokers let in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from devices.core.proof import BadProof, Proof
from devices.core.values import LIVE_CREDENTIALS, CredentialId, DeviceId, DeviceState
from devices.models import Credential, Device
from devices.queries.passwords import good_passwords
from devices.services.issue_credential import DeviceRefused
from devices.services.password_use import note_password_use
from devices.services.use_proof import use_proof
from kernel.core.clock import FOR_EVER
from kernel.core.errors import Unauthenticated
from pki import queries as pki

_LET_IN = frozenset({DeviceState.ACTIVE, DeviceState.QUARANTINED})


class WrongPassword(Unauthenticated):
    """Nobody of that name has that password."""

    code = "wrong-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedPrincipal:
    """A device or an application, which credential proved it, and until when that one can."""

    device: DeviceId
    token_epoch: int
    credential: CredentialId
    until: datetime


def prove_by_certificate(
    *, client: str, chain: Sequence[x509.Certificate], proof: Proof | None = None, now: datetime
) -> ProvedPrincipal:
    """The principal that `client`, such as north/pump-1, names; possession of the key of `chain[0]` was proved.

    A `proof` is taken once. Raises CertificateRefused, BadProof, DeviceRefused.
    """
    presented = pki.verify_presented(chain=chain, now=now)
    held = Credential.objects.filter(certificate_id=presented.id, state__in=LIVE_CREDENTIALS)
    credential = held.select_related("device__domain").first()
    if credential is None:
        raise DeviceRefused("This certificate is no credential of a device: enrol again.")
    device = credential.device
    if client != f"{device.domain.slug}/{device.auth_id}":
        raise BadProof("The certificate is of somebody else than the client id: that is <domain>/<auth id>.")
    if proof is not None:
        use_proof(proof, now=now)
    return _let_in(device, CredentialId(credential.id), until=presented.not_after)


def prove_by_password(*, client: str, password: str, now: datetime) -> ProvedPrincipal:
    """The principal that `client`, such as north/pump-1, names. Raises WrongPassword, DeviceRefused."""
    domain, _, auth_id = client.partition("/")
    found = Device.objects.filter(domain__slug=domain, auth_id=auth_id) if "\x00" not in client else ()
    for device in found:
        for kept in good_passwords(device=DeviceId(device.id), now=now):
            if kept.verifier.is_of(password):
                proved = _let_in(device, CredentialId(kept.id), until=kept.not_after or FOR_EVER)
                note_password_use(password=kept.id, now=now)
                return proved
    raise WrongPassword("The device is unknown or its password is wrong.")


def _let_in(device: Device, credential: CredentialId, *, until: datetime) -> ProvedPrincipal:
    if device.state not in _LET_IN:
        raise DeviceRefused("This device may not connect now: ask the operator of its domain.")
    return ProvedPrincipal(
        device=DeviceId(device.id), token_epoch=device.token_epoch, credential=credential, until=until
    )
