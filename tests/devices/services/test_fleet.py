"""Domains, device types, groups, bindings, tokens and devices registered ahead."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from acl.core.values import RoleId
from devices import queries, services
from devices.core.attributes import BadAttributes
from devices.core.names import BadName
from devices.core.values import BindingId, DeviceId, GroupId
from devices.models import Binding, Group
from devices.queries import UnknownBinding, UnknownDevice
from devices.services.bindings import AlreadyBound, BindingTarget, UnknownTarget
from devices.services.domains import NameTaken
from devices.services.enrolment_tokens import UnknownProfile
from kernel.core.errors import Invalid, NotFound
from kernel.core.ids import new_id
from kernel.queries import list_entries
from tests.cast import ADA
from tests.devices.factory import Factory


@pytest.fixture
def who(north: Factory) -> dict[str, Any]:
    return {"actor": ADA, "now": north.now}


def last_action() -> str:
    return list_entries(limit=1)[0].action


@pytest.mark.parametrize("slug", ["", "North", "a b", "-a", "a-", "a/b", "a+", "$a", "ä", "x" * 64, "a\n", "a\0"])
def test_bad_slug_is_refused(who: dict[str, Any], slug: str) -> None:
    with pytest.raises(BadName):
        services.create_domain(slug=slug, name="x", **who)


def test_slug_is_unique(who: dict[str, Any]) -> None:
    made = services.create_domain(slug="west", name="West", **who)
    assert queries.get_domain(slug="west") == queries.get_domain(id=made.id) == made
    with pytest.raises(NameTaken):
        services.create_domain(slug="west", name="Other", **who)


@pytest.mark.parametrize(
    "schema",
    [
        {"Site": {"type": "string"}},
        {"a__b": {"type": "string"}},
        {"": {"type": "string"}},
        {"1a": {"type": "string"}},
        {"x" * 33: {"type": "string"}},
        {"a\0": {"type": "string"}},
        {"site": "string"},
        {"site": {}},
        {"site": {"type": "text"}},
        {"site": {"type": ["string"]}},
        {"site": {"type": "string", "pattern": "a+"}},
        {"site": {"type": "string", "required": "yes"}},
        {"site": {"type": "string", "choices": "ab"}},
        {"site": {"type": "string", "choices": [1]}},
        {"site": {"type": "string", "choices": ["\0"]}},
        {"site": {"type": "string", "max_length": 0}},
        {"site": {"type": "string", "max_length": 257}},
        {"site": {"type": "string", "max_length": True}},
        {"litres": {"type": "integer", "choices": ["1"]}},
        {f"a{number}": {"type": "string"} for number in range(65)},
    ],
)
def test_schema_that_means_nothing_is_refused(north: Factory, who: dict[str, Any], schema: dict[str, Any]) -> None:
    with pytest.raises(BadAttributes):
        services.create_device_type(domain=north.domain, name="odd", schema=schema, **who)


def test_device_type_is_held_to(north: Factory, who: dict[str, Any]) -> None:
    schema = {
        "site": {"type": "string", "required": True, "choices": ["hall", "yard"]},
        "tag": {"type": "string", "max_length": 3, "topic_safe": True},
    }
    services.create_device_type(domain=north.domain, name="gate", schema=schema, **who)
    north.register("a", device_type="gate", attributes={"site": "hall", "tag": "abc"})
    for bad in (
        {},
        {"site": "roof"},
        *({"site": "hall", "tag": tag} for tag in ("abcd", "a/b", "+", "#", "$a", "", "\t")),
    ):
        with pytest.raises(BadAttributes):
            north.register("b", device_type="gate", attributes=bad)


def test_registered_device_waits(north: Factory) -> None:
    made = north.register("pump-1", hardware_serial="SN", attributes={"site": "hall"})
    assert (made.state.value, made.auth_id, made.enrolled_at) == ("pre-registered", "pump-1", None)
    assert last_action() == "devices.device.registered"
    with pytest.raises(NameTaken):
        north.register("pump-1")
    with pytest.raises(NotFound, match="device type"):
        north.register("pump-2", device_type="none")


def test_group_has_members_of_its_domain_alone(north: Factory, south: Factory, who: dict[str, Any]) -> None:
    mine, theirs = north.register("a"), south.register("a")
    with pytest.raises(UnknownDevice):
        services.create_group(domain=north.domain, name="hall", members=[mine.id, theirs.id], **who)
    assert not Group.objects.exists()
    group = services.create_group(domain=north.domain, name="hall", members=[mine.id, mine.id], **who)
    with pytest.raises(UnknownDevice):
        services.add_to_group(group=group, devices=[theirs.id], **who)
    [row] = queries.list_groups(domains=[north.domain])
    assert (row.id, row.domain_slug, row.name, row.query, row.member_count) == (group, "north", "hall", "", 1)
    assert queries.list_groups(domains=[south.domain]) == []


def test_members_come_and_go(north: Factory, who: dict[str, Any]) -> None:
    group = services.create_group(domain=north.domain, name="hall", **who)
    device = north.register("a").id
    for change, groups in ((services.add_to_group, ("hall",)), (services.remove_from_group, ())):
        for _ in range(2):
            change(group=group, devices=[device], **who)
        assert queries.get_device(device=device).groups == groups
        assert last_action() == "devices.group.changed"
    with pytest.raises(queries.UnknownGroup):
        services.add_to_group(group=GroupId(new_id()), devices=[], **who)
    with pytest.raises(NameTaken):
        services.create_group(domain=north.domain, name="hall", **who)


def test_the_journal_says_who_joined_a_group_and_who_left(north: Factory, who: dict[str, Any]) -> None:
    one, two = sorted((north.register("a").id, north.register("b").id), key=str)
    group = services.create_group(domain=north.domain, name="hall", members=[one], **who)
    services.add_to_group(group=group, devices=[one, two], **who)
    services.remove_from_group(group=group, devices=[one, two], **who)
    services.remove_from_group(group=group, devices=[one], **who)
    assert [entry.after for entry in list_entries(limit=4)][::-1] == [
        {"name": "hall", "added": [str(one)], "added_count": 1},
        {"name": "hall", "added": [str(two)], "added_count": 1},
        {"name": "hall", "removed": [str(one), str(two)], "removed_count": 2},
        {"name": "hall", "removed": [], "removed_count": 0},
    ]


def test_binding_is_made_once_and_removed_once(north: Factory, who: dict[str, Any]) -> None:
    role, device = north.role(), north.register("pump-1")
    target = BindingTarget(device=device.id)
    made = services.bind_role(domain=north.domain, role=role.id, target=target, **who)
    entry = list_entries(limit=1)[0]
    assert (entry.action, entry.after["role"], entry.after["target"]) == ("devices.binding.created", "pumps", "pump-1")
    with pytest.raises(AlreadyBound):
        services.bind_role(domain=north.domain, role=role.id, target=target, **who)
    services.unbind_role(binding=made, **who)
    entry = list_entries(limit=1)[0]
    assert (entry.action, entry.before["role"], entry.before["target"]) == (
        "devices.binding.removed",
        "pumps",
        "pump-1",
    )
    with pytest.raises(UnknownBinding):
        services.unbind_role(binding=made, **who)


@pytest.mark.parametrize(
    "target",
    [{}, {"group": "a", "domain": "north"}, {"group": "a", "device": DeviceId(new_id())}],
)
def test_binding_has_exactly_one_target(north: Factory, who: dict[str, Any], target: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        services.bind_role(domain=north.domain, role=north.role().id, target=BindingTarget(**target), **who)


def test_database_refuses_a_binding_of_two_targets_or_none(north: Factory, who: dict[str, Any]) -> None:
    role, device = north.role(), north.register()
    for target in ({}, {"device_id": device.id, "whole_domain": True}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Binding.objects.create(id=new_id(), domain_id=north.domain, role_id=role.id, **target)


def test_binding_never_crosses_domains(north: Factory, south: Factory, who: dict[str, Any]) -> None:
    role, theirs = north.role(), south.register("a").id
    services.create_group(domain=south.domain, name="hall", **who)
    for target in (
        BindingTarget(device=theirs),
        BindingTarget(group="hall"),
        BindingTarget(device_type="none"),
        BindingTarget(domain="south"),
    ):
        with pytest.raises(UnknownTarget):
            services.bind_role(domain=north.domain, role=role.id, target=target, **who)
    with pytest.raises(NotFound):
        services.bind_role(domain=south.domain, role=role.id, target=BindingTarget(domain="south"), **who)
    with pytest.raises(NotFound):
        services.bind_role(domain=north.domain, role=RoleId(new_id()), target=BindingTarget(domain="north"), **who)
    assert not queries.list_bindings(domains=[north.domain, south.domain])


def test_binding_of_another_domain_does_not_exist(north: Factory, south: Factory, who: dict[str, Any]) -> None:
    made = services.bind_role(domain=north.domain, role=north.role().id, target=BindingTarget(domain="north"), **who)
    assert queries.get_binding(binding=made, domains=[north.domain]).id == made
    for binding, domain in ((made, south.domain), (BindingId(new_id()), north.domain)):
        with pytest.raises(UnknownBinding):
            queries.get_binding(binding=binding, domains=[domain])


@pytest.mark.parametrize(
    "changes",
    [
        {"uses": 0},
        {"uses": -1},
        {"uses": 1_000_001},
        {"seconds": 0},
        {"seconds": 10**12},
        {"networks": ["10.0.0.0/33"]},
        {"networks": ["10.0.0.1/8"]},
        {"networks": ["home"]},
        {"networks": [""]},
    ],
)
def test_token_without_sense_is_not_minted(north: Factory, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        north.mint(**changes)
    assert queries.list_enrolment_tokens(domains=[north.domain]) == []


def test_token_needs_a_profile_of_its_domain(north: Factory, south: Factory) -> None:
    services.create_enrolment_profile(
        domain=south.domain, name="theirs", device_type="pump", needs_approval=False, actor=ADA, now=south.now
    )
    with pytest.raises(UnknownProfile):
        north.mint("theirs")
