"""Groups by query: who is in them after each write, as a part of policy, and who may change them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.services import create_role
from devices import queries, services
from devices.core.group_query import BadQuery
from devices.core.import_rows import DeviceRow
from devices.core.lifecycle import WrongState
from devices.core.policy_changes import ApprovalRule, PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument
from devices.core.policy_editing import with_binding, with_group_query
from devices.core.policy_merge import Decisions, Side
from devices.core.tags import device_tag, query_tag
from devices.core.values import Device, DeviceState
from devices.models import Device as DeviceRecord
from devices.models import Domain, Group
from devices.queries import UnknownGroup
from devices.queries.concerned import concerned_devices
from devices.queries.policy import policy_document
from devices.services import groups, policy_changes
from devices.services.bindings import BindingTarget
from devices.services.change_attributes import DeviceMoved
from devices.services.domains import NameTaken
from devices.services.groups import GroupKind, QueryMoved, TooManyQueries
from devices.services.policy_changes.approving import BaseMoved
from devices.services.policy_changes.rebasing import RebaseConflict
from devices.services.policy_gate import ApprovalRequired
from kernel.core.errors import Invalid
from kernel.core.ids import new_id
from kernel.queries import list_entries, verify_journal
from tests.cast import ADA, BO, NORTH, NOW, SOUTH
from tests.devices.factory import SCHEMA, Factory

NORTHERN = 'attr.site == "north"'
WHO: dict[str, Any] = {"actor": ADA, "now": NOW}
LISTEN = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="all/#")


def domain(id: Any, slug: str) -> None:
    Domain.objects.create(id=id, slug=slug, name=slug)
    for kind in ("pump", "valve"):
        services.create_device_type(domain=id, name=kind, schema=SCHEMA, **WHO)


@pytest.fixture(autouse=True)
def _domain(request: pytest.FixtureRequest, db: None) -> None:
    if "north" not in request.fixturenames:
        domain(NORTH, "north")


def device(name: str, kind: str = "pump", *, serial: str = "", **attributes: Any) -> Device:
    return services.register_device(
        domain=NORTH, name=name, device_type=kind, hardware_serial=serial, attributes=attributes, **WHO
    )


def group(query: str, name: str = "hall") -> Any:
    return services.create_group(domain=NORTH, name=name, query=query, **WHO)


def members(name: str = "hall") -> list[str]:
    rows = DeviceRecord.objects.filter(groups__name=name).order_by("name")
    return list(rows.values_list("name", flat=True))


def test_group_has_those_that_there_are_and_those_that_come() -> None:
    device("pump-1", site="north")
    device("pump-2", site="south")
    made = group(' attr.site=="north" ')
    assert members() == ["pump-1"]
    device("pump-3", site="north")
    device("pump-4")
    assert members() == ["pump-1", "pump-3"]
    row = queries.get_group(group=made, domains=[NORTH])
    assert (row.query, row.member_count) == (NORTHERN, 2)


def test_devices_of_another_domain_and_applications_are_in_no_group_by_query() -> None:
    domain(SOUTH, "south")
    group('not name == "x"')
    services.register_device(domain=SOUTH, name="theirs", device_type="pump", **WHO)
    services.register_application(domain=NORTH, name="scada", **WHO)
    assert members() == []
    group('not name == "y"', "yard")
    assert members("yard") == []


def test_a_domain_has_so_many_groups_by_query_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    domain(SOUTH, "south")
    monkeypatch.setattr(groups, "_MOST_QUERIES", 2)
    group(NORTHERN, "one")
    group(NORTHERN, "two")
    with pytest.raises(TooManyQueries, match="2 groups"):
        group(NORTHERN, "three")
    services.create_group(domain=SOUTH, name="one", query=NORTHERN, **WHO)
    services.create_group(domain=NORTH, name="chosen", **WHO)


def test_every_field_counts() -> None:
    device("pump-1", serial="SN-1", site="north", litres=5)
    device("valve-1", "valve", serial="SN-2", wet=True)
    asked = {
        "a": 'device_type == "valve"',
        "b": 'hardware_serial in ["SN-1", "SN-9"]',
        "c": 'name starts_with "pump-"',
        "d": "attr.litres > 4.5",
        "e": "attr.wet == true",
    }
    for name, query in asked.items():
        group(query, name)
    device("pump-2", serial="SN-9", litres=4, wet=True)
    found = {name: members(name) for name in asked}
    assert found == {
        "a": ["valve-1"],
        "b": ["pump-1", "pump-2"],
        "c": ["pump-1", "pump-2"],
        "d": ["pump-1"],
        "e": ["pump-2", "valve-1"],
    }


def test_changed_attributes_change_the_groups() -> None:
    pump = device("pump-1", site="north", litres=1)
    group(NORTHERN)
    group('attr.site == "south"', "yard")
    changed = services.change_attributes(device=pump.id, attributes={"site": "south"}, **WHO)
    assert (changed.attributes, changed.groups) == ({"site": "south", "litres": 1}, ("yard",))
    assert (members(), members("yard")) == ([], ["pump-1"])
    gone = services.change_attributes(device=pump.id, attributes={"site": None}, **WHO)
    assert (gone.attributes, gone.groups) == ({"litres": 1}, ())
    entry = list_entries(limit=1)[0]
    assert entry.action == "devices.device.changed"
    assert (entry.before["groups"], entry.after["groups"]) == (["yard"], [])


def test_attributes_that_stay_are_no_change_and_a_value_of_another_type_is_one() -> None:
    pump = device("pump-1", weight=1)
    before = len(list_entries(limit=50))
    services.change_attributes(device=pump.id, attributes={"weight": 1}, **WHO)
    assert len(list_entries(limit=50)) == before
    services.change_attributes(device=pump.id, attributes={"weight": 1.0}, **WHO)
    assert len(list_entries(limit=50)) == before + 1


def test_attributes_are_refused_that_do_not_fit_and_nothing_changes() -> None:
    pump = device("pump-1", site="north")
    group(NORTHERN)
    for wrong in ({"site": 5}, {"colour": "red"}, {"wet": "yes"}):
        with pytest.raises(Invalid):
            services.change_attributes(device=pump.id, attributes=wrong, **WHO)
    assert members() == ["pump-1"]


def test_attributes_change_only_from_the_state_that_was_read() -> None:
    pump = device("pump-1", site="north")
    tag = device_tag(pump)
    services.change_attributes(device=pump.id, attributes={"site": "south"}, expected_tag=tag, **WHO)
    with pytest.raises(DeviceMoved):
        services.change_attributes(device=pump.id, attributes={"site": "west"}, expected_tag=tag, **WHO)


def test_device_that_has_ended_and_application_keep_their_attributes() -> None:
    pump = device("pump-1", site="north")
    services.decommission_device(device=pump.id, **WHO)
    with pytest.raises(WrongState):
        services.change_attributes(device=pump.id, attributes={"site": "south"}, **WHO)
    scada = services.register_application(domain=NORTH, name="scada", **WHO)
    with pytest.raises(queries.UnknownDevice):
        services.change_attributes(device=scada.id, attributes={}, **WHO)


def test_device_that_enrols_joins_and_one_that_is_denied_leaves_nothing(north: Factory) -> None:
    services.create_group(domain=NORTH, name="hall", query=NORTHERN, **WHO)
    services.create_group(domain=NORTH, name="serial", query='hardware_serial == "SN-1"', **WHO)
    north.enroll("pump-1", attributes={"site": "north"})
    north.register("pump-2")
    assert members() == ["pump-1"]
    north.enroll("pump-2", attributes={"site": "north"}, hardware_serial="SN-1")
    assert (members(), members("serial")) == (["pump-1", "pump-2"], ["pump-2"])
    waiting = north.wait("pump-3", attributes={"site": "north"})
    assert members() == ["pump-1", "pump-2", "pump-3"]
    services.deny_request(request=waiting.request, **WHO)
    assert members() == ["pump-1", "pump-2"]


def test_imported_devices_join() -> None:
    group(NORTHERN)
    rows = [
        (number, DeviceRow(name=f"pump-{number}", device_type="pump", hardware_serial="", attributes={"site": site}))
        for number, site in enumerate(["north", "south", "north"])
    ]
    dry = services.import_devices(domain=NORTH, rows=rows, device_type="pump", dry_run=True, **WHO)
    assert len(list(dry)) == 3
    assert members() == []
    list(services.import_devices(domain=NORTH, rows=rows, device_type="pump", dry_run=False, **WHO))
    assert members() == ["pump-0", "pump-2"]


def test_new_query_replaces_the_members_and_is_told() -> None:
    for name, site in (("pump-1", "north"), ("pump-2", "south"), ("pump-3", "west")):
        device(name, site=site)
    made = group('attr.site in ["north", "south"]')
    before = query_tag('attr.site in ["north", "south"]')
    services.change_group_query(group=made, query='attr.site in ["south","west"]', expected_tag=before, **WHO)
    assert members() == ["pump-2", "pump-3"]
    entry = list_entries(limit=1)[0]
    assert entry.before == {"query": 'attr.site in ["north", "south"]'}
    assert (entry.after["added_count"], entry.after["removed_count"]) == (1, 1)
    with pytest.raises(QueryMoved):
        services.change_group_query(group=made, query=NORTHERN, expected_tag=before, **WHO)
    with pytest.raises(BadQuery):
        services.change_group_query(group=made, query="site", **WHO)
    assert members() == ["pump-2", "pump-3"]
    services.change_group_query(group=made, query='attr.site  in ["south", "west"]', **WHO)
    assert list_entries(limit=1)[0].id == entry.id


def test_group_keeps_its_kind() -> None:
    pump = device("pump-1", site="north")
    by_query = group(NORTHERN)
    chosen = services.create_group(domain=NORTH, name="yard", members=[pump.id], **WHO)
    for change in (services.add_to_group, services.remove_from_group):
        with pytest.raises(GroupKind, match="found by its query"):
            change(group=by_query, devices=[pump.id], **WHO)
    with pytest.raises(GroupKind, match="has members that were chosen"):
        services.change_group_query(group=chosen, query=NORTHERN, **WHO)
    with pytest.raises(Invalid):
        services.create_group(domain=NORTH, name="both", members=[pump.id], query=NORTHERN, **WHO)
    with pytest.raises(NameTaken):
        group(NORTHERN)
    with pytest.raises(UnknownGroup):
        services.change_group_query(group=new_id(), query=NORTHERN, **WHO)  # type: ignore[arg-type]
    assert (members(), members("yard")) == (["pump-1"], ["pump-1"])


def test_query_is_policy_where_four_eyes_are_asked_for() -> None:
    made = group(NORTHERN)
    rule = ApprovalRule.OTHER_OPERATOR
    policy_changes.set_policy_approval(domain=NORTH, rule=rule, **WHO)
    with pytest.raises(ApprovalRequired):
        services.change_group_query(group=made, query='attr.site == "south"', **WHO)
    assert Group.objects.get(id=made).query == NORTHERN


# Queries in drafts


def bound() -> PolicyDocument:
    """The policy in which `listeners` is given to the hall, the devices of the north; two devices are active."""
    device("pump-1", site="north")
    device("pump-2", site="south")
    DeviceRecord.objects.update(state=DeviceState.ACTIVE)
    group(NORTHERN)
    role = create_role(domain=NORTH, name="listeners", rules=[LISTEN], **WHO)
    services.bind_role(domain=NORTH, role=role.id, target=BindingTarget(group="hall"), **WHO)
    return policy_document(domain=NORTH)


def draft(document: PolicyDocument) -> PolicyChange:
    return policy_changes.draft_change(domain=NORTH, title="Draft", document=document, **WHO)


def applied(change: PolicyChange) -> PolicyChange:
    policy_changes.approve_change(change=change.id, **WHO)
    return policy_changes.apply_change(change=change.id, **WHO).change


def test_change_with_a_query_is_applied_and_rolled_back() -> None:
    wanted = with_group_query(bound(), "hall", 'attr.site == "south"')
    wanted = with_group_query(wanted, "pumps", 'device_type == "pump"')
    wanted = with_binding(wanted, BindingSpec(role="listeners", via=BindingVia.GROUP, target="pumps"))
    done = applied(draft(wanted))
    assert policy_document(domain=NORTH) == wanted
    assert (members(), members("pumps")) == (["pump-2"], ["pump-1", "pump-2"])
    [entry] = [each for each in list_entries(limit=9) if each.action == "devices.group.changed"]
    assert entry.after["change"] == str(done.id)
    back = policy_changes.roll_back_change(change=done.id, **WHO)
    applied(back)
    assert members() == ["pump-1"]
    assert {type(each).__name__ for each in verify_journal()} == {"Entry"}


def test_who_is_concerned_by_a_draft_is_found_by_the_drafts_query() -> None:
    before = bound()
    assert names(before, before) == []
    assert names(before, with_group_query(before, "hall", 'attr.site == "south"')) == ["pump-1", "pump-2"]
    assert names(before, with_group_query(before, "hall", 'name == "nobody"')) == ["pump-1"]
    assert names(before, with_group_query(before, "hall", 'device_type == "pump"')) == ["pump-2"]
    unbound = with_group_query(before, "yard", 'device_type == "pump"')
    assert names(before, unbound) == []
    given = with_binding(unbound, BindingSpec(role="listeners", via=BindingVia.GROUP, target="yard"))
    assert names(before, given) == ["pump-1", "pump-2"]


def names(before: PolicyDocument, after: PolicyDocument) -> list[str]:
    ids, count = concerned_devices(domain=NORTH, before=before, after=after, limit=9)
    assert count == len(ids)
    return sorted(DeviceRecord.objects.filter(id__in=ids).values_list("name", flat=True))


def test_draft_is_refused_that_turns_a_group() -> None:
    policy = bound()
    services.create_group(domain=NORTH, name="yard", **WHO)
    policy = policy_document(domain=NORTH)
    with pytest.raises(GroupKind):
        draft(with_group_query(policy, "yard", NORTHERN))
    with pytest.raises(GroupKind):
        draft(replace(policy, groups=(GroupSpec(name="hall"), GroupSpec(name="yard"))))


def test_draft_meets_a_query_that_was_changed_meanwhile() -> None:
    policy = bound()
    change = draft(with_group_query(policy, "hall", 'attr.site == "south"'))
    [hall] = queries.list_groups(domains=[NORTH])
    services.change_group_query(group=hall.id, query='attr.site == "west"', actor=BO, now=NOW)
    with pytest.raises(BaseMoved):
        policy_changes.approve_change(change=change.id, **WHO)
    with pytest.raises(RebaseConflict) as refused:
        policy_changes.rebase_change(change=change.id, **WHO)
    assert [each.pointer for each in refused.value.errors] == ["/groups/hall"]
    decisions = Decisions(groups={"hall": Side.DRAFT})
    rebased = policy_changes.rebase_change(change=change.id, decisions=decisions, **WHO)
    assert rebased.document.groups == (GroupSpec(name="hall", query='attr.site == "south"'),)
    applied(rebased)
    assert members() == ["pump-2"]


def test_group_that_was_made_meanwhile_with_another_query_is_not_bound_unseen() -> None:
    policy = with_group_query(bound(), "yard", NORTHERN)
    change = draft(with_binding(policy, BindingSpec(role="listeners", via=BindingVia.GROUP, target="yard")))
    policy_changes.approve_change(change=change.id, **WHO)
    group('device_type == "pump"', "yard")
    with pytest.raises(BaseMoved):
        policy_changes.apply_change(change=change.id, **WHO)


def test_group_that_was_made_meanwhile_with_chosen_members_is_not_bound_unseen() -> None:
    policy = with_group_query(bound(), "yard", NORTHERN)
    change = draft(with_binding(policy, BindingSpec(role="listeners", via=BindingVia.GROUP, target="yard")))
    policy_changes.approve_change(change=change.id, **WHO)
    services.create_group(domain=NORTH, name="yard", **WHO)
    with pytest.raises(GroupKind):
        policy_changes.apply_change(change=change.id, **WHO)
    assert len(queries.list_bindings(domains=[NORTH])) == 1
