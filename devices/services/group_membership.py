"""Who is in the groups that have a query, exact at every commit.

Whoever changes what queries look at places the device anew, and whoever changes a query fills its group, each in the
transaction of the change. Devices are placed side by side, but never while a query of their domain is changed: else
both could judge by what the other is replacing. Either is done before the journal is written, which is locked last.
"""

from __future__ import annotations

import hashlib

from django.db import connection

from devices.core.group_query import Asked, belongs, parse
from devices.models import Device, Group
from devices.queries.group_sql import matching
from kernel.core.ids import DomainId

Membership = Device.groups.through


def place_device(row: Device) -> None:
    """Nothing; the device, as it is stored now, is in just those groups by query that are true of it."""
    hold_queries(DomainId(row.domain_id))
    queries = dict(Group.objects.filter(domain_id=row.domain_id).exclude(query="").values_list("id", "query"))
    if not queries or row.device_type is None:
        return
    asked = Asked(
        name=row.name,
        device_type=row.device_type.name,
        hardware_serial=row.hardware_serial,
        attributes=row.attributes,
    )
    wanted = {group for group, query in queries.items() if belongs(asked, parse(query))}
    known = Membership.objects.filter(device_id=row.id, group_id__in=queries)
    there = set(known.values_list("group_id", flat=True))
    if there - wanted:
        known.filter(group_id__in=there - wanted).delete()
    if wanted - there:
        Membership.objects.bulk_create(Membership(device_id=row.id, group_id=group) for group in sorted(wanted - there))


def fill_group(group: Group) -> tuple[int, int]:
    """How many devices join and how many leave, now that the group, locked by the caller, has its query."""
    hold_devices(DomainId(group.domain_id))
    found = matching(domain=DomainId(group.domain_id), query=group.query).order_by().values("id")
    left = Membership.objects.filter(group_id=group.id).exclude(device_id__in=found)
    gone = left._raw_delete(left.db)  # noqa: SLF001 - one statement; nothing hangs on a membership
    statement, params = found.query.sql_with_params()
    table = Membership._meta.db_table  # noqa: SLF001 - Django's own way to the table
    kind = "uuid" if connection.vendor == "postgresql" else "text"
    stored = Group._meta.pk.get_db_prep_value(group.id, connection)  # noqa: SLF001 - how a UUID is stored
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (group_id, device_id)"  # noqa: S608 - names of ours
            f" SELECT CAST(%s AS {kind}), found.id FROM ({statement}) found WHERE true ON CONFLICT DO NOTHING",
            [stored, *params],
        )
        joined = cursor.rowcount
    if connection.vendor == "postgresql":
        connection.check_constraints()  # now, and not at the commit, when the journal is locked
    return joined, gone


def hold_queries(domain: DomainId) -> None:
    """Nothing; until the transaction ends no query of the domain is changed. Others may hold them as well."""
    _hold(domain, "pg_advisory_xact_lock_shared")


def hold_devices(domain: DomainId) -> None:
    """Nothing; until the transaction ends no device of the domain is placed."""
    _hold(domain, "pg_advisory_xact_lock")


def _hold(domain: DomainId, how: str) -> None:
    """SQLite has one writer at a time anyway."""
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(b"devices.membership" + domain.bytes).digest()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {how}(%s)", [int.from_bytes(digest[:8], signed=True)])
