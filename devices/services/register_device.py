"""Putting a device or an application into the register before it has proved anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from devices.conf import broker_directory
from devices.core.attributes import check_attributes, parse_schema
from devices.core.names import check_name
from devices.core.values import Device as DeviceValue
from devices.core.values import DeviceState, PrincipalKind
from devices.models import Device, DeviceType
from devices.services.domains import NameTaken
from devices.services.group_membership import place_device
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Invalid, NotFound
from kernel.core.ids import DomainId, new_id
from kernel.services import record

MAX_SERIAL = 128


def register_device(
    *,
    domain: DomainId,
    name: str,
    device_type: str,
    hardware_serial: str = "",
    attributes: Mapping[str, Any] | None = None,
    actor: Actor,
    now: datetime,
) -> DeviceValue:
    """The new device, pre-registered. Raises BadName, BadAttributes, NameTaken, NotFound."""
    kind = DeviceType.objects.filter(domain_id=domain, name=device_type).first()
    if kind is None:
        raise NotFound(f"There is no device type {device_type[:80]!r}: create it first.", code="device-type-unknown")
    with transaction.atomic():
        row = new_device(
            kind,
            name=name,
            hardware_serial=hardware_serial,
            attributes=attributes or {},
            state=DeviceState.PRE_REGISTERED,
            now=now,
        )
        place_device(row)
        record(
            action="devices.device.registered",
            subject=row.as_subject(),
            actor=actor,
            now=now,
            domain=domain,
            after={"state": row.state, "name": name, "device_type": device_type, "hardware_serial": hardware_serial},
        )
        return Device.objects.whole().get(id=row.id).as_value()


def register_application(*, domain: DomainId, name: str, actor: Actor, now: datetime) -> DeviceValue:
    """The new application, pre-registered: it may connect once it has a certificate. Raises BadName, NameTaken.

    It is a principal as devices are and shares their names; it has no type: no role by type, no `${device_type}`.
    """
    with transaction.atomic():
        row = _new_principal(domain, name=name, kind=PrincipalKind.APPLICATION, created_at=now)
        record(
            action="devices.application.registered",
            subject=row.as_subject(),
            actor=actor,
            now=now,
            domain=domain,
            after={"state": row.state, "name": name},
        )
        return Device.objects.whole().get(id=row.id).as_value()


def new_device(
    kind: DeviceType,
    *,
    name: str,
    hardware_serial: str,
    attributes: Mapping[str, Any],
    state: DeviceState,
    now: datetime,
) -> Device:
    """A new row within the caller's transaction; auth id and client id are the name. Raises NameTaken."""
    check_serial(hardware_serial)
    return _new_principal(
        DomainId(kind.domain_id),
        name=name,
        state=state,
        device_type=kind,
        hardware_serial=hardware_serial,
        attributes=check_attributes(attributes, parse_schema(kind.schema)),
        created_at=now,
    )


def _new_principal(
    domain: DomainId, *, name: str, state: DeviceState = DeviceState.PRE_REGISTERED, **columns: Any
) -> Device:
    check_name(name)
    if broker_directory().is_reserved(domain, name):
        raise NameTaken(f"The name {name} is that of an account that controls a broker: choose another.")
    try:
        with transaction.atomic():
            return Device.objects.create(
                id=new_id(), domain_id=domain, name=name, auth_id=name, client_id=name, state=state, **columns
            )
    except IntegrityError as error:
        raise NameTaken(
            f"The name {name} belongs to another device or application of this domain, and stays reserved for it: "
            "choose another."
        ) from error


def check_serial(hardware_serial: str) -> None:
    """Raises Invalid unless it has at most 128 printable characters."""
    if len(hardware_serial) > MAX_SERIAL or not hardware_serial.isprintable():
        fault = f"has to have at most {MAX_SERIAL} printable characters"
        error = FieldError(pointer="/hardware_serial", code="bad-serial", detail=fault)
        raise Invalid(f"The hardware serial {fault}.", code="bad-serial", errors=(error,))
