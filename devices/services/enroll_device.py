"""Enrolment: a token and a request become a device with a certificate, or nothing at all.

The wish is written down before anything is signed; the same key under the same profile is the same wish, so that a
retry, also after a crash, gets the same answer and spends no second use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from devices.core.names import check_name
from devices.core.values import CredentialState, DeviceId, DeviceState, EnrolmentRequestId, RequestState
from devices.core.values import Device as DeviceValue
from devices.models import Credential, Device, Domain, EnrolmentRequest, EnrolmentToken
from devices.services.domains import NameTaken
from devices.services.enrolment_tokens import give_back_use, open_token, spend_use
from devices.services.register_device import check_serial, new_device
from kernel.core.actor import Actor, ActorKind
from kernel.core.errors import Conflict, Denied, DomainError, FieldError, Invalid
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki import queries as pki
from pki import services as pki_services
from pki.core.csr import CsrFacts, inspect_csr
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, IssuerId, ReasonCode


class KeyInUse(Conflict):
    """The public key belongs to another device."""

    code = "key-in-use"


class NoIssuer(Conflict):
    """The domain has no CA."""

    code = "domain-without-issuer"


class RequestDenied(Denied):
    """An operator said no."""

    code = "enrolment-denied"


class DeviceRefused(Denied):
    """The device was enrolled, and may not be any more."""

    code = "device-state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A device and its certificate."""

    device: DeviceValue
    certificate: IssuedCertificate
    trust_bundle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The wish waits for an operator."""

    request: EnrolmentRequestId


def enroll_device(
    *,
    token: str,
    csr: str,
    name: str | None,
    hardware_serial: str = "",
    attributes: Mapping[str, Any] | None = None,
    address: str,
    now: datetime,
) -> Enrolment | Pending:
    """What became of the wish. Not to be called in a transaction; nothing is left behind where it raises.

    Raises TokenRefused, TokenExpired, TokenSpent, WrongNetwork; MalformedCsr, BadCsrSignature, WeakKey, KeyInUse;
    BadName, BadAttributes, NameTaken, RequestDenied, DeviceRefused.
    """
    opened = open_token(token=token, address=address, now=now)
    facts = inspect_csr(csr.encode())
    wanted = _name(name, facts)
    request = _find(opened, facts)
    if request is None:
        try:
            request = _write_down(
                opened, facts, csr=csr, name=wanted, hardware_serial=hardware_serial,
                attributes=attributes or {}, address=address, now=now,
            )  # fmt: skip
        except IntegrityError:  # the same wish, at the same time
            request = _find(opened, facts)
            if request is None:
                raise
    if request.name != wanted:
        raise KeyInUse("This public key belongs to another device already: make a new key, one for each device.")
    return answer(request, now=now)


def answer(request: EnrolmentRequest, *, now: datetime) -> Enrolment | Pending:
    """What became of a wish that is written down; signs if it was approved and nothing was signed yet."""
    match request.state:
        case RequestState.PENDING:
            return Pending(request=EnrolmentRequestId(request.id))
        case RequestState.DENIED:
            raise RequestDenied("The enrolment was denied: ask the operator of this domain why.")
        case RequestState.ISSUED:
            return _issued(request)
        case _:
            return _complete(request, now=now)


def _name(name: str | None, facts: CsrFacts) -> str:
    found = name if name is not None else facts.common_name
    if found is None:
        detail = "is missing, and the request has no common name to take instead"
        raise Invalid(f"The name {detail}.", errors=(FieldError(pointer="/name", code="required", detail=detail),))
    return check_name(found)


def _find(token: EnrolmentToken, facts: CsrFacts) -> EnrolmentRequest | None:
    rows = EnrolmentRequest.objects.select_related("profile__domain", "device", "token", "certificate")
    return rows.filter(profile_id=token.profile_id, public_key_sha256=facts.public_key_sha256).first()


def _write_down(
    token: EnrolmentToken,
    facts: CsrFacts,
    *,
    csr: str,
    name: str,
    hardware_serial: str,
    attributes: Mapping[str, Any],
    address: str,
    now: datetime,
) -> EnrolmentRequest:
    profile = token.profile
    if pki.holder_of_key(public_key_sha256=facts.public_key_sha256) is not None:
        raise KeyInUse("This public key belongs to another device already: make a new key, one for each device.")
    check_serial(hardware_serial)
    with transaction.atomic():
        spend_use(token, now=now)
        known = Device.objects.select_for_update().filter(domain_id=profile.domain_id, name=name).first()
        if known is None:
            device = new_device(
                profile.device_type, name=name, hardware_serial=hardware_serial, attributes=attributes,
                state=DeviceState.ENROLLING, now=now,
            )  # fmt: skip
        else:
            device = _take_over(known, hardware_serial)
        request = EnrolmentRequest.objects.create(
            id=new_id(),
            profile=profile,
            token=token,
            public_key_sha256=facts.public_key_sha256,
            device=device,
            state=RequestState.PENDING if profile.needs_approval else RequestState.APPROVED,
            csr=csr,
            name=name,
            hardware_serial=hardware_serial,
            attributes=dict(attributes),
            address=address,
            created_at=now,
        )
        if profile.needs_approval:
            _record("devices.enrolment_request.created", request, {"state": request.state}, now=now)
        return request


def _take_over(known: Device, hardware_serial: str) -> Device:
    """A device that was registered ahead, if it is the same; a name that was ever enrolled is never taken over."""
    if known.state != DeviceState.PRE_REGISTERED:
        raise NameTaken(f"The name {known.name} belongs to another device, and stays reserved for it: choose another.")
    if known.hardware_serial and known.hardware_serial != hardware_serial:
        raise Conflict("The hardware serial is not the one registered for this name.", code="serial-mismatch")
    known.state = DeviceState.ENROLLING
    known.hardware_serial = hardware_serial or known.hardware_serial
    known.save(update_fields=["state", "hardware_serial"])
    return known


def _issued(request: EnrolmentRequest) -> Enrolment:
    device = request.device
    if device is None or request.certificate_id is None or device.state not in {
        DeviceState.ACTIVE, DeviceState.QUARANTINED, DeviceState.SUSPENDED,
    }:  # fmt: skip
        raise DeviceRefused("This device was enrolled and is no longer: it needs a new key and an operator's consent.")
    certificate = pki.get_certificate(id=CertificateId(request.certificate_id))
    return enrolment_of(DeviceId(device.id), certificate)


def enrolment_of(device: DeviceId, certificate: IssuedCertificate) -> Enrolment:
    """Device and certificate with what the device has to trust."""
    value = Device.objects.whole().get(id=device).as_value()
    return Enrolment(device=value, certificate=certificate, trust_bundle=pki.trust_bundle(domain=value.domain))


def _complete(request: EnrolmentRequest, *, now: datetime) -> Enrolment:
    device = request.device
    assert device is not None, "a wish that is approved has its device"
    try:
        certificate = _reuse(device, request) or issue_for(device, request.csr, actor=_device_actor(request), now=now)
    except DomainError:
        _undo(request)
        raise
    with transaction.atomic():
        row = EnrolmentRequest.objects.select_for_update(of=("self",)).get(id=request.id)
        if row.state == RequestState.ISSUED and row.certificate_id not in {None, certificate.id}:
            _drop_double(certificate, now=now)
            certificate = pki.get_certificate(id=CertificateId(row.certificate_id))
        elif row.state != RequestState.ISSUED:
            _store(row, device, certificate, now=now)
    return enrolment_of(DeviceId(device.id), certificate)


def _reuse(device: Device, request: EnrolmentRequest) -> IssuedCertificate | None:
    """A certificate that was signed before a crash and never handed out."""
    found = pki.certificates_of(holder=f"device:{device.id}")
    fitting = (
        each
        for each in found
        if each.public_key_sha256 == request.public_key_sha256 and each.state is CertificateState.ISSUED
    )
    return next(fitting, None)


def issue_for(device: Device, csr: str, *, actor: Actor, now: datetime) -> IssuedCertificate:
    """A certificate of the profile `device` from the domain's issuer. Raises NoIssuer and what pki raises."""
    domain = Domain.objects.get(id=device.domain_id)
    if domain.issuer_id is None:
        raise NoIssuer(f"The domain {domain.slug} has no issuing CA: set one before devices enrol.")
    return pki_services.issue_certificate(
        issuer=IssuerId(domain.issuer_id),
        profile="device",
        csr=csr.encode(),
        holder=f"device:{device.id}",
        variables={"auth_id": device.auth_id, "domain": domain.slug, "id": str(device.id)},
        actor=actor,
        now=now,
    )


def _undo(request: EnrolmentRequest) -> None:
    """Takes back a wish that can not be granted: the use, the request, and a device that was only begun for it."""
    with transaction.atomic():
        device = request.device
        deleted, _ = EnrolmentRequest.objects.filter(id=request.id).exclude(state=RequestState.ISSUED).delete()
        if not deleted or device is None:
            return
        give_back_use(request.token)
        Device.objects.filter(id=device.id, state=DeviceState.ENROLLING, created_at=request.created_at).delete()
        Device.objects.filter(id=device.id, state=DeviceState.ENROLLING).update(state=DeviceState.PRE_REGISTERED)


def _drop_double(certificate: IssuedCertificate, *, now: datetime) -> None:
    pki_services.revoke_certificate(
        certificate=certificate.id, reason=ReasonCode.SUPERSEDED, actor=_SELF, now=now, note="signed twice at once"
    )


_SELF = Actor(kind=ActorKind.SYSTEM, id="enrolment", label="Enrolment")


def _store(request: EnrolmentRequest, device: Device, certificate: IssuedCertificate, *, now: datetime) -> None:
    Credential.objects.create(
        id=new_id(),
        device=device,
        certificate_id=certificate.id,
        state=CredentialState.ACTIVE,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )
    enrolled = Device.objects.filter(id=device.id, state=DeviceState.ENROLLING)
    if not enrolled.update(state=DeviceState.ACTIVE, enrolled_at=now):
        raise DeviceRefused("The device was revoked while it enrolled.")
    request.state, request.certificate_id = RequestState.ISSUED, certificate.id
    request.save(update_fields=["state", "certificate"])
    _record(
        "devices.device.enrolled",
        request,
        {"state": DeviceState.ACTIVE.value, "auth_id": device.auth_id, "serial": certificate.serial_hex},
        now=now,
    )


def _device_actor(request: EnrolmentRequest) -> Actor:
    return Actor(kind=ActorKind.DEVICE, id=str(request.device_id), label=request.name, address=request.address)


def _record(action: str, request: EnrolmentRequest, after: dict[str, Any], *, now: datetime) -> None:
    is_device = action.startswith("devices.device")
    record(
        action=action,
        subject=Subject(
            kind="devices.device" if is_device else "devices.enrolment_request",
            id=str(request.device_id if is_device else request.id),
            label=request.name,
        ),
        actor=_device_actor(request),
        now=now,
        domain=DomainId(request.profile.domain_id),
        after={**after, "token": str(request.token_id), "profile": request.profile.name},
    )
