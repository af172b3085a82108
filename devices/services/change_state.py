"""Suspending, resuming, quarantining, revoking, decommissioning a device or an application.

Each answers with its operation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from devices.core.lifecycle import check_resumable, check_transition
from devices.core.values import LIVE_CREDENTIALS, CredentialState, DeviceId, DeviceState
from devices.models import Credential, Device
from devices.queries import UnknownDevice
from devices.services.passwords import end_passwords
from kernel.core.actor import Actor
from kernel.core.ids import DomainId, EntryId
from kernel.services import record
from pki import queries as pki
from pki import services as pki_services
from pki.core.values import CertificateState, ReasonCode


def suspend_device(*, device: DeviceId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation. The device is refused and its session closed; its credentials are kept. Raises WrongState."""
    return _change(device, DeviceState.SUSPENDED, "suspended", actor=actor, now=now, note=note)


def resume_device(*, device: DeviceId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation. A suspended or quarantined device has its whole policy again. Raises WrongState."""
    return _change(device, DeviceState.ACTIVE, "resumed", actor=actor, now=now, note=note)


def quarantine_device(*, device: DeviceId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation. The device has the quarantine role of its domain alone. Raises WrongState."""
    return _change(device, DeviceState.QUARANTINED, "quarantined", actor=actor, now=now, note=note)


def revoke_device(*, device: DeviceId, reason: ReasonCode, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation. Device, certificates and passwords are revoked for good. Repeating it is harmless."""
    return _end(device, DeviceState.REVOKED, "revoked", reason=reason, actor=actor, now=now, note=note)


def decommission_device(*, device: DeviceId, actor: Actor, now: datetime, note: str = "") -> EntryId:
    """The operation. Everything is revoked, and the device is a tombstone. Repeating it is harmless."""
    reason = ReasonCode.CESSATION_OF_OPERATION
    return _end(device, DeviceState.DECOMMISSIONED, "decommissioned", reason=reason, actor=actor, now=now, note=note)


def _change(device: DeviceId, state: DeviceState, verb: str, *, actor: Actor, now: datetime, note: str) -> EntryId:
    with transaction.atomic():
        row = _lock(device)
        before = DeviceState(row.state)
        if state is DeviceState.ACTIVE:
            check_resumable(before)
        _move(row, state)
        return _record(row, verb, before=before, more={}, actor=actor, now=now, note=note)


def _end(
    device: DeviceId,
    state: DeviceState,
    verb: str,
    *,
    reason: ReasonCode,
    actor: Actor,
    now: datetime,
    note: str,
) -> EntryId:
    with transaction.atomic():
        row = _lock(device)
        before = DeviceState(row.state)
        _move(row, state)
        held = pki.certificates_of(holder=row.holder)
        for certificate in held:
            if certificate.state in {CertificateState.ISSUED, CertificateState.HELD}:
                pki_services.revoke_certificate(
                    certificate=certificate.id, reason=reason, actor=actor, now=now, note=note
                )
        Credential.objects.filter(device=row, state__in=LIVE_CREDENTIALS).update(state=CredentialState.REVOKED)
        end_passwords(row)
        more = {
            "reason": reason.value,
            "holder": row.holder,
            "issuers": sorted({certificate.issuer_slug for certificate in held}),
        }
        return _record(row, verb, before=before, more=more, actor=actor, now=now, note=note)


def _move(row: Device, state: DeviceState) -> None:
    """Puts a locked device into the state, and ends its access tokens; being in it already is fine."""
    if row.state != state:
        check_transition(before=DeviceState(row.state), after=state)
        row.state = state
        row.token_epoch += 1
        row.save(update_fields=["state", "token_epoch"])


def _lock(device: DeviceId) -> Device:
    row = Device.objects.select_for_update(no_key=True).filter(id=device).first()
    if row is None:
        raise UnknownDevice("There is no such device.")
    return row


def _record(
    row: Device, verb: str, *, before: DeviceState, more: dict[str, Any], actor: Actor, now: datetime, note: str
) -> EntryId:
    entry = record(
        action=f"devices.{row.kind}.{verb}",
        subject=row.as_subject(),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        before={"state": before.value},
        after={"state": row.state, "auth_id": row.auth_id, "client_id": row.client_id, **more},
        note=note,
    )
    return entry.id
