"""What proves a device."""

from __future__ import annotations

from devices.core.values import LIVE_CREDENTIALS, Credential, DeviceId
from devices.models import Credential as CredentialRow
from pki.core.values import CertificateId


def device_of_certificate(*, certificate: CertificateId) -> DeviceId | None:
    """The device that has the certificate as a live credential, or None."""
    rows = CredentialRow.objects.filter(certificate_id=certificate, state__in=LIVE_CREDENTIALS)
    found = rows.values_list("device_id", flat=True).first()
    return DeviceId(found) if found else None


def credentials_of(*, device: DeviceId) -> list[Credential]:
    """The device's credentials, the newest first."""
    return [row.as_value() for row in CredentialRow.objects.filter(device_id=device).order_by("-id")]
