"""Passwords of devices and applications, without the passwords."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import groupby

from devices.core.password_verifier import PasswordVerifier
from devices.core.passwords import Password, on_brokers
from devices.core.values import DeviceId
from devices.models import Device
from devices.models import Password as PasswordRow
from kernel.core.ids import DomainId

_MOST_LISTED = 50


def passwords_of(*, device: DeviceId) -> list[Password]:
    """Those of the device, the newest first; at most 50."""
    rows = PasswordRow.objects.filter(device_id=device).order_by("-id")
    return [row.as_value() for row in rows[:_MOST_LISTED]]


def good_passwords(*, device: DeviceId, now: datetime) -> list[Password]:
    """Those that prove the device at that moment; at most three."""
    rows = PasswordRow.objects.filter(device_id=device).good(now=now).order_by("id")
    return [row.as_value() for row in rows]


def all_good_passwords(*, devices: Collection[DeviceId], now: datetime) -> dict[DeviceId, list[Password]]:
    """The same of several devices, by device; those that have none are left out."""
    rows = PasswordRow.objects.filter(device_id__in=devices).good(now=now).order_by("device_id", "id")
    passwords = (row.as_value() for row in rows)
    return {id: list(those) for id, those in groupby(passwords, key=lambda each: each.device)}


def verifiers_in(*, domain: DomainId, now: datetime) -> dict[DeviceId, PasswordVerifier]:
    """What a broker with room for one password has to keep of each device of the domain that has one."""
    rows = PasswordRow.objects.filter(device__domain_id=domain).good(now=now).order_by("device_id", "id")
    passwords = (row.as_value() for row in rows.iterator())
    found = {id: on_brokers(list(those), now=now) for id, those in groupby(passwords, key=lambda each: each.device)}
    return {id: each.verifier for id, each in found.items() if each is not None}


def without_certificate(*, domain: DomainId) -> frozenset[DeviceId]:
    """Those devices of the domain that were given a password and never a certificate."""
    rows = Device.objects.filter(domain_id=domain, passwords__isnull=False, credentials=None).order_by()
    return frozenset(map(DeviceId, rows.values_list("id", flat=True).distinct()))


def is_without_certificate(*, device: DeviceId) -> bool:
    """Whether the device is one of those."""
    return Device.objects.filter(id=device, passwords__isnull=False, credentials=None).exists()
