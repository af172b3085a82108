"""Granting a wish that is written down: sign, then make the certificate a credential and the device active."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.lifecycle import ENDED
from devices.core.values import DeviceId, DeviceState, RequestState
from devices.models import Device, EnrolmentRequest
from devices.services.group_membership import place_device
from devices.services.issue_credential import (
    DeviceRefused,
    Enrolment,
    add_credential,
    enrolment_of,
    issue_for,
    revoke_stray,
    revoke_strays,
    signed_before,
)
from devices.services.write_request import device_actor, let_go
from kernel.core.errors import Conflict, Denied, DomainError
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki import queries as pki
from pki.core.values import CertificateId, IssuedCertificate

_ENROLLED = frozenset({DeviceState.ACTIVE, DeviceState.QUARANTINED, DeviceState.SUSPENDED})


class RequestDenied(Denied):
    """An operator said no."""

    code = "enrolment-denied"


class RequestGone(Conflict):
    """The request was taken back while its certificate was signed."""

    code = "enrolment-request-gone"


def answer(request: EnrolmentRequest, *, is_new: bool = False, now: datetime) -> Enrolment | None:
    """What became of a wish; None while it waits. Signs if it was approved and nothing was signed yet.

    `is_new`: the wish was written down just now, so that nothing can have been signed for it. Not to be called in a
    transaction. Raises RequestDenied, DeviceRefused, and what issuing raises.
    """
    match request.state:
        case RequestState.PENDING:
            return None
        case RequestState.DENIED:
            raise RequestDenied("The enrolment was denied: ask the operator of this domain why.")
        case RequestState.ISSUED:
            return _issued(request)
        case _:
            return _grant(request, is_new=is_new, now=now)


def _issued(request: EnrolmentRequest, certificate: IssuedCertificate | None = None) -> Enrolment:
    """What the device was given: `certificate`, if it is at hand."""
    device = request.device
    if device is None or request.certificate_id is None or device.state not in _ENROLLED:
        raise _refused()
    if certificate is None or certificate.id != request.certificate_id:
        certificate = pki.get_certificate(id=CertificateId(request.certificate_id))
    return enrolment_of(DeviceId(device.id), certificate)


def _refused() -> DeviceRefused:
    return DeviceRefused("This device was enrolled and is no longer: it needs a new key and an operator's consent.")


def _grant(request: EnrolmentRequest, *, is_new: bool, now: datetime) -> Enrolment:
    device = request.device
    if device is None or device.state in ENDED:
        if device is not None:
            revoke_strays(device, now=now)
        raise _refused()
    try:
        signed = None if is_new else signed_before(device, request.public_key_sha256, now=now)
        certificate = signed or issue_for(device, request.csr, actor=device_actor(request), now=now)
    except DomainError:
        _take_back(request)
        raise
    with transaction.atomic():
        kept = _settle(request, certificate, now=now)
        if kept is None or kept.certificate_id != certificate.id:
            revoke_stray(certificate, now=now)
    if kept is None:
        raise RequestGone("The enrolment was given up while it was signed: ask again.")
    return _issued(kept, certificate)


def _take_back(request: EnrolmentRequest) -> None:
    """Undoes a wish that can not be granted; unless the key is the device's already, so that a retry completes it."""
    with transaction.atomic():
        holder = pki.holder_of_key(public_key_sha256=request.public_key_sha256)
        if request.device is not None and holder == request.device.holder:
            return
        deleted, _ = EnrolmentRequest.objects.filter(id=request.id, state=RequestState.APPROVED).delete()
        if deleted:
            let_go(request)


def _settle(request: EnrolmentRequest, certificate: IssuedCertificate, *, now: datetime) -> EnrolmentRequest | None:
    """The request as it is once the certificate was signed; None if it, or its device, is gone.

    Whoever comes first stores the certificate; the device is locked before its request, as everywhere.
    """
    device = Device.objects.select_for_update(no_key=True).filter(id__in=[request.device_id]).first()
    rows = EnrolmentRequest.objects.select_for_update(of=("self",)).select_related("profile")
    row = rows.filter(id=request.id).first()
    if row is None or device is None or row.state == RequestState.ISSUED:
        return row
    if device.state != DeviceState.ENROLLING:
        return None
    add_credential(device, certificate)
    device.state, device.enrolled_at = DeviceState.ACTIVE, now
    if not row.device_is_new:  # a new one has them since it asked, unless an operator took some away
        device.attributes = {**row.attributes, **device.attributes}
    device.hardware_serial = device.hardware_serial or row.hardware_serial
    device.save(update_fields=["state", "enrolled_at", "attributes", "hardware_serial"])
    place_device(device)
    row.device, row.state, row.certificate_id = device, RequestState.ISSUED, certificate.id
    row.save(update_fields=["state", "certificate"])
    record(
        action="devices.device.enrolled",
        subject=Subject(kind="devices.device", id=str(device.id), label=device.name),
        actor=device_actor(row),
        now=now,
        domain=DomainId(device.domain_id),
        after={
            "state": device.state,
            "auth_id": device.auth_id,
            "serial": certificate.serial_hex,
            "token": str(row.token_id),
            "profile": row.profile.name,
        },
    )
    return row
