"""Registering many devices ahead from rows: each for itself, so that one bad row stops no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from devices.core.attributes import AttributeSpec, parse_schema
from devices.core.import_rows import BadRow, DeviceRow, typed
from devices.core.names import check_name
from devices.models import Device, DeviceType
from devices.services.register_device import register_device
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, DomainError
from kernel.core.ids import DomainId


class RowOutcome(StrEnum):
    """What became of a row."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """A row of the file by its number from 1, and what became of it."""

    number: int
    name: str
    outcome: RowOutcome
    detail: str = ""


def import_devices(
    *,
    domain: DomainId,
    rows: Iterable[tuple[int, DeviceRow | BadRow]],
    device_type: str,
    dry_run: bool,
    actor: Actor,
    now: datetime,
) -> Iterator[ImportedRow]:
    """What becomes of each row, while it is imported; `device_type` is for rows without one.

    A device that is there as the row says is left alone, so that an import can be repeated; one that differs is
    refused. With `dry_run` nothing is kept, and two rows of one name are not told apart.
    """
    kinds = {kind.name: parse_schema(kind.schema) for kind in DeviceType.objects.filter(domain_id=domain)}
    for number, row in rows:
        if isinstance(row, BadRow):
            yield ImportedRow(number=number, name="", outcome=RowOutcome.REFUSED, detail=row.detail)
            continue
        try:
            with transaction.atomic():
                outcome = _import(row, kinds, domain=domain, device_type=device_type, actor=actor, now=now)
                if dry_run:
                    transaction.set_rollback(True)
            yield ImportedRow(number=number, name=row.name, outcome=outcome)
        except DomainError as error:
            yield ImportedRow(number=number, name=row.name, outcome=RowOutcome.REFUSED, detail=error.detail)


def _import(
    row: DeviceRow,
    kinds: dict[str, tuple[AttributeSpec, ...]],
    *,
    domain: DomainId,
    device_type: str,
    actor: Actor,
    now: datetime,
) -> RowOutcome:
    check_name(row.name)
    kind = row.device_type or device_type
    attributes = typed(row.attributes, kinds.get(kind, ()))
    known = Device.objects.select_related("device_type").filter(domain_id=domain, name=row.name).first()
    if known is not None:
        there = (known.device_type and known.device_type.name, known.hardware_serial, known.attributes)
        if there == (kind, row.hardware_serial, attributes):
            return RowOutcome.UNCHANGED
        raise Conflict(f"There is a {known.kind} of this name that differs: change that one, or choose another name.")
    register_device(
        domain=domain,
        name=row.name,
        device_type=kind,
        hardware_serial=row.hardware_serial,
        attributes=attributes,
        actor=actor,
        now=now,
    )
    return RowOutcome.CREATED
