"""Whether an access token that was given once is still backed by what proved its device."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from devices.core.passwords import Password
from devices.core.values import LIVE_CREDENTIALS, CredentialId, DeviceId
from devices.models import Credential, Device
from kernel.core.clock import FOR_EVER
from pki import queries as pki
from pki.core.values import CertificateId


def token_backed_until(
    *, device: DeviceId, credential: CredentialId, epoch: int, passwords: Sequence[Password], now: datetime
) -> datetime | None:
    """Until when the credential, which proved the device then, still would; None if it would not now.

    Nor does it if the device's tokens were ended since: `epoch` is how often they had been. `passwords` are those that
    prove the device where the token is shown: elsewhere what was got for one is worth no more than it is.
    """
    if not Device.objects.filter(id=device, token_epoch=epoch).exists():
        return None
    if password := next((each for each in passwords if each.id == credential and each.is_good(now)), None):
        return password.not_after or FOR_EVER
    held = Credential.objects.filter(id=credential, device_id=device, state__in=LIVE_CREDENTIALS).first()
    if held is None:
        return None
    certificate = pki.certificates_by_id(ids=[CertificateId(held.certificate_id)])[CertificateId(held.certificate_id)]
    try:
        return pki.verify_presented(chain=[x509.load_pem_x509_certificate(certificate.pem.encode())], now=now).not_after
    except pki.CertificateRefused:
        return None
