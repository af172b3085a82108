"""Ending the access tokens of a device or an application."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from devices.core.values import DeviceId
from devices.models import Device
from devices.queries import UnknownDevice
from kernel.core.actor import Actor
from kernel.core.ids import DomainId, EntryId
from kernel.services import record


def end_tokens(*, device: DeviceId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation. Every token it was given proves nothing any more, and its sessions are closed.

    It may ask for another one at once. Raises UnknownDevice.
    """
    with transaction.atomic():
        if not Device.objects.filter(id=device).update(token_epoch=F("token_epoch") + 1):
            raise UnknownDevice("There is no such device.")
        row = Device.objects.get(id=device)
        entry = record(
            action=f"devices.{row.kind}.tokens_ended",
            subject=row.as_subject(),
            actor=actor,
            now=now,
            domain=DomainId(row.domain_id),
            after={"auth_id": row.auth_id, "client_id": row.client_id},
            note=note,
        )
    return entry.id
