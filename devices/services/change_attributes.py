"""Changing what a device is known by: its attributes, on which rules and groups may hang."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from devices.core.attributes import check_attributes, parse_schema
from devices.core.lifecycle import ENDED, WrongState
from devices.core.tags import device_tag
from devices.core.values import Device as DeviceValue
from devices.core.values import DeviceId
from devices.models import Device
from devices.queries import UnknownDevice
from devices.services.group_membership import place_device
from kernel.core.actor import Actor
from kernel.core.errors import Superseded
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


class DeviceMoved(Superseded):
    """The device was changed since it was read."""


def change_attributes(
    *,
    device: DeviceId,
    attributes: Mapping[str, Any],
    expected_tag: str | None = None,
    actor: Actor,
    now: datetime,
) -> DeviceValue:
    """The device with these attributes beside those that are not named; None takes one away (RFC 7396).

    It joins and leaves the groups by query that this concerns. `expected_tag` is that of the device as the caller knows
    it. Raises UnknownDevice, DeviceMoved, WrongState, BadAttributes.
    """
    with transaction.atomic():
        row = _lock(device)
        before = Device.objects.whole().get(id=device).as_value()
        if expected_tag is not None and expected_tag != device_tag(before):
            raise DeviceMoved("The device was changed since you read it: look at it again, then repeat.")
        if before.state in ENDED:
            raise WrongState(f"A device that is {before.state} stays as it was: it is kept for the record.")
        merged = {**before.attributes, **attributes}
        wanted = {name: value for name, value in merged.items() if value is not None}
        assert row.device_type is not None
        checked = check_attributes(wanted, parse_schema(row.device_type.schema))
        if json.dumps(checked, sort_keys=True) == json.dumps(before.attributes, sort_keys=True):
            return before
        row.attributes = checked
        row.save(update_fields=["attributes"])
        place_device(row)
        after = Device.objects.whole().get(id=device).as_value()
        _record(before, after, actor=actor, now=now)
    return after


def _lock(device: DeviceId) -> Device:
    rows = Device.objects.select_for_update(of=("self",), no_key=True).select_related("device_type")
    row = rows.filter(id=device, device_type__isnull=False).first()
    if row is None:
        raise UnknownDevice("There is no such device.")
    return row


def _record(before: DeviceValue, after: DeviceValue, *, actor: Actor, now: datetime) -> None:
    record(
        action="devices.device.changed",
        subject=Subject(kind="devices.device", id=str(after.id), label=after.name),
        actor=actor,
        now=now,
        domain=DomainId(after.domain),
        before={"attributes": dict(before.attributes), "groups": list(before.groups)},
        after={"attributes": dict(after.attributes), "groups": list(after.groups)},
    )
