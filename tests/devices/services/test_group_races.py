"""Devices and queries that change at the same time: on SQLite, and on PostgreSQL by tests/test_on_postgresql.py."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from devices import services
from devices.core.group_query import Asked, belongs, parse
from devices.core.policy_editing import with_group_query
from devices.models import Device, Domain, Group
from devices.queries.policy import policy_document
from devices.services import policy_changes
from kernel.core.clock import utc_now
from kernel.queries import verify_journal
from tests.cast import ADA, NORTH
from tests.devices.racing import at_once, told

pytestmark = [pytest.mark.several_writers, pytest.mark.django_db(transaction=True)]

SITES = ("north", "south", "west")


def asked(site: str) -> str:
    return f'attr.site == "{site}"'


def assert_members_are_those_that_the_queries_say() -> None:
    for group in Group.objects.exclude(query=""):
        rows = Device.objects.select_related("device_type").filter(domain_id=group.domain_id)
        said = {row.name for row in rows if belongs(_asked(row), parse(group.query))}
        assert set(group.members.values_list("name", flat=True)) == said, group.query


def _asked(row: Device) -> Asked:
    assert row.device_type is not None
    return Asked(
        name=row.name,
        device_type=row.device_type.name,
        hardware_serial=row.hardware_serial,
        attributes=row.attributes,
    )


def test_devices_beside_queries_end_in_the_right_groups() -> None:
    """Devices come and change, groups are made, queries change directly and by a change of policy, states change."""
    who: dict[str, Any] = {"actor": ADA, "now": utc_now()}
    Domain.objects.create(id=NORTH, slug="north", name="North")
    services.create_device_type(domain=NORTH, name="pump", schema={"site": {"type": "string"}}, **who)
    move = partial(services.change_attributes, **who)
    register = partial(services.register_device, domain=NORTH, device_type="pump", **who)
    pumps = [register(name=f"pump-{number}", attributes={"site": "north"}).id for number in range(4)]
    hall = services.create_group(domain=NORTH, name="hall", query=asked("north"), **who)
    services.create_group(domain=NORTH, name="yard", query=asked("north"), **who)
    for turn in range(4):
        here, there = SITES[turn % 3], SITES[(turn + 1) % 3]
        yard = f'{asked(there)} or name == "more-{turn}"'
        document = with_group_query(policy_document(domain=NORTH), "yard", yard)
        change = policy_changes.draft_change(domain=NORTH, title="Turn", document=document, **who)
        policy_changes.approve_change(change=change.id, **who)
        found = at_once(
            [
                *(partial(move, device=pump, attributes={"site": there}) for pump in pumps),
                partial(register, name=f"more-{turn}", attributes={"site": there}),
                partial(services.create_group, domain=NORTH, name=f"group-{turn}", query=asked(there), **who),
                partial(services.change_group_query, group=hall, query=asked(here), **who),
                partial(services.change_group_query, group=hall, query=asked(there), **who),
                partial(policy_changes.apply_change, change=change.id, **who),
                partial(services.decommission_device, device=register(name=f"old-{turn}").id, **who),
            ]
        )
        assert set(told(found)) <= {"ok", "base-moved"}, told(found)
        assert_members_are_those_that_the_queries_say()
    assert {type(each).__name__ for each in verify_journal()} == {"Entry"}
