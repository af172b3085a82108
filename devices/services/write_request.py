"""Writing a wish to be enrolled down: the token's use, the device and the request, all together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from devices.core.attributes import BadAttributes, check_attributes, check_told, parse_schema
from devices.core.values import DeviceState, PrincipalKind, RequestState
from devices.models import Device, EnrolmentProfile, EnrolmentRequest, EnrolmentToken
from devices.services.domains import NameTaken
from devices.services.enrolment_tokens import give_back_use, spend_use
from devices.services.group_membership import hold_queries, place_device
from devices.services.register_device import check_serial, new_device
from kernel.core.actor import Actor, ActorKind
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki import queries as pki


class KeyInUse(Conflict):
    """The public key belongs to another device."""

    code = "key-in-use"


class NotTheSame(Conflict):
    """The device that was registered ahead under this name is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a device asks for. The request was inspected, the name checked; the rest is as it came."""

    csr: str
    public_key_sha256: str
    name: str
    hardware_serial: str
    attributes: Mapping[str, Any]
    address: str


def write_request(token: EnrolmentToken, wish: Wish, *, now: datetime) -> EnrolmentRequest:
    """The new request, approved unless its profile says otherwise; one use of the token is spent.

    Raises TokenSpent, KeyInUse, NameTaken, NotTheSame, BadAttributes, Invalid.
    """
    profile = token.profile
    if pki.holder_of_key(public_key_sha256=wish.public_key_sha256) is not None:
        raise KeyInUse("This public key belongs to another device already: make a new key, one for each device.")
    check_serial(wish.hardware_serial)
    with transaction.atomic():
        spend_use(token, now=now)
        rows = Device.objects.select_for_update(no_key=True)
        known = rows.filter(domain_id=profile.domain_id, name=wish.name).first()
        device = _match(known, wish, profile) if known else _begin(wish, profile, now=now)
        request = EnrolmentRequest.objects.create(
            id=new_id(),
            profile=profile,
            token=token,
            public_key_sha256=wish.public_key_sha256,
            device=device,
            device_is_new=known is None,
            state=RequestState.PENDING if profile.needs_approval else RequestState.APPROVED,
            csr=wish.csr,
            name=wish.name,
            hardware_serial=wish.hardware_serial,
            attributes=dict(wish.attributes),
            address=wish.address,
            created_at=now,
        )
        if profile.needs_approval:
            _record_waiting(request, now=now)
        return request


def let_go(request: EnrolmentRequest) -> None:
    """Takes back what a wish took: the token's use, and the device that was only begun for it.

    Within the caller's transaction. A device that was registered ahead is so again.
    """
    give_back_use(request.token)
    if request.device_id is None:
        return
    begun = Device.objects.filter(id=request.device_id, state=DeviceState.ENROLLING)
    if request.device_is_new:
        list(begun.select_for_update(no_key=True).values_list("id"))  # first, as whoever places a device does
        hold_queries(DomainId(request.profile.domain_id))  # none puts it into a group meanwhile
        begun.delete()
    else:
        begun.update(state=DeviceState.PRE_REGISTERED)


def device_actor(request: EnrolmentRequest) -> Actor:
    """The device that is being enrolled, as an actor."""
    return Actor(kind=ActorKind.DEVICE, id=str(request.device_id), label=request.name, address=request.address)


def _begin(wish: Wish, profile: EnrolmentProfile, *, now: datetime) -> Device:
    check_told(wish.attributes, parse_schema(profile.device_type.schema), registered={})
    row = new_device(
        profile.device_type,
        name=wish.name,
        hardware_serial=wish.hardware_serial,
        attributes=wish.attributes,
        state=DeviceState.ENROLLING,
        now=now,
    )
    place_device(row)
    return row


def _match(known: Device, wish: Wish, profile: EnrolmentProfile) -> Device:
    """A device that was registered ahead, if it is the same; a name that was ever enrolled is never taken over.

    What was registered stands: attributes that policy may hang on can be added by the device, and not changed. They
    are kept once the wish is granted, so that one that comes to nothing leaves nothing behind.
    """
    if known.state != DeviceState.PRE_REGISTERED or known.kind != PrincipalKind.DEVICE:
        raise NameTaken(
            f"The name {known.name} belongs to another device or application, and stays reserved: choose another."
        )
    if known.device_type_id != profile.device_type_id:
        raise NotTheSame(
            f"This name is registered for another type than {profile.device_type.name}: use a token of its profile.",
            code="device-type-mismatch",
        )
    if known.hardware_serial and known.hardware_serial != wish.hardware_serial:
        raise NotTheSame("The hardware serial is not the one registered for this name.", code="serial-mismatch")
    specs = parse_schema(profile.device_type.schema)
    check_told(wish.attributes, specs, registered=known.attributes)
    attributes = check_attributes({**known.attributes, **wish.attributes}, specs)
    if changed := sorted(name for name, value in known.attributes.items() if attributes[name] != value):
        raise BadAttributes(f"The attribute {changed[0]} is registered with another value: leave it out.")
    known.state = DeviceState.ENROLLING
    known.save(update_fields=["state"])
    return known


def _record_waiting(request: EnrolmentRequest, *, now: datetime) -> None:
    record(
        action="devices.enrolment_request.created",
        subject=Subject(kind="devices.enrolment_request", id=str(request.id), label=request.name),
        actor=device_actor(request),
        now=now,
        domain=DomainId(request.profile.domain_id),
        after={"state": request.state, "token": str(request.token_id), "profile": request.profile.name},
    )
