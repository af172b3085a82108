"""What proves a device."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from django.db.models import Count
from django.db.models.functions import TruncWeek

from devices.core.values import Credential, CredentialState, DeviceId
from devices.models import Credential as CredentialRow
from kernel.core.ids import DomainId
from pki.core.values import CertificateId


def device_of_certificate(*, certificate: CertificateId) -> DeviceId | None:
    """The device that has the certificate as a live credential, or None."""
    live = [CredentialState.ACTIVE, CredentialState.RETIRING, CredentialState.STAGED]
    rows = CredentialRow.objects.filter(certificate_id=certificate, state__in=live)
    found = rows.values_list("device_id", flat=True).first()
    return DeviceId(found) if found else None


def credentials_of(*, device: DeviceId) -> list[Credential]:
    """The device's credentials, the newest first."""
    return [row.as_value() for row in CredentialRow.objects.filter(device_id=device).order_by("-id")]


def count_ending_by_week(*, domains: Collection[DomainId], begin: datetime, by: datetime) -> dict[datetime, int]:
    """How many active credentials end from `begin` until before `by`, for each week's Monday (UTC) that has any."""
    rows = CredentialRow.objects.filter(
        device__domain_id__in=domains, state=CredentialState.ACTIVE, not_after__gte=begin, not_after__lt=by
    )
    weeks = rows.annotate(week=TruncWeek("not_after", tzinfo=UTC)).values("week").annotate(count=Count("id"))
    return {row["week"]: row["count"] for row in weeks.order_by("week")}
