"""Putting a device into the register before it has proved anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from devices.conf import broker_directory
from devices.core.attributes import check_attributes, parse_schema
from devices.core.names import check_name
from devices.core.values import Device as DeviceValue
from devices.core.values import DeviceState
from devices.models import Device, DeviceType
from devices.services.domains import NameTaken
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Invalid, NotFound
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
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
        record(
            action="devices.device.registered",
            subject=Subject(kind="devices.device", id=str(row.id), label=name),
            actor=actor,
            now=now,
            domain=domain,
            after={"state": row.state, "name": name, "device_type": device_type, "hardware_serial": hardware_serial},
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
    check_name(name)
    check_serial(hardware_serial)
    if broker_directory().is_reserved(DomainId(kind.domain_id), name):
        raise NameTaken(f"The name {name} is that of an account that controls a broker: choose another.")
    try:
        with transaction.atomic():
            return Device.objects.create(
                id=new_id(),
                domain_id=kind.domain_id,
                name=name,
                auth_id=name,
                client_id=name,
                state=state,
                device_type=kind,
                hardware_serial=hardware_serial,
                attributes=check_attributes(attributes, parse_schema(kind.schema)),
                created_at=now,
            )
    except IntegrityError as error:
        raise NameTaken(
            f"The name {name} belongs to another device of this domain, and stays reserved for it: choose another."
        ) from error


def check_serial(hardware_serial: str) -> None:
    """Raises Invalid unless it has at most 128 printable characters."""
    if len(hardware_serial) > MAX_SERIAL or not hardware_serial.isprintable():
        fault = f"has to have at most {MAX_SERIAL} printable characters"
        error = FieldError(pointer="/hardware_serial", code="bad-serial", detail=fault)
        raise Invalid(f"The hardware serial {fault}.", code="bad-serial", errors=(error,))
