"""Lists by keyset, and the policy in force for each device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from acl.core.evaluation import effective
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from devices import queries, services
from devices.core.values import DeviceId, DeviceState
from devices.models import Device
from devices.queries import DeviceFilter, UnknownDevice
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.cast import ADA
from tests.devices.factory import DOWN, Factory

AssertQueries = Callable[[int], AbstractContextManager[object]]
SITE = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="site/${attr.site}/#")


def bind(factory: Factory, role: Any, **target: Any) -> Any:
    return services.bind_role(
        domain=factory.domain, role=role.id, target=BindingTarget(**target), actor=ADA, now=factory.now
    )


def names(factory: Factory, **changes: Any) -> list[str]:
    given: dict[str, Any] = {"domains": [factory.domain], **changes}
    return [device.name for device in queries.list_devices(**given).devices]


def filters_of(device: DeviceId) -> list[str | None]:
    subject = queries.subject_of(device=device, now=utc_now())
    return [each.filter for each in effective(subject.policy, subject.principal)]


def test_pages_hold_every_device_once_in_order_of_octets(north: Factory) -> None:
    wanted = ["B", "a", "a b", "a-1", "b", "Ä", "ä", "泵"]
    for name in reversed(wanted):
        north.register(name)
    found, place = [], None
    while True:
        page = queries.list_devices(domains=[north.domain], after=place, limit=3)
        found += [device.name for device in page.devices]
        if not page.has_more:
            break
        place = (page.devices[-1].name, page.devices[-1].id)
    assert found == sorted(wanted, key=lambda name: name.encode())


def test_names_of_two_domains_do_not_hide_each_other(north: Factory, south: Factory) -> None:
    for name in ("a", "b"):
        north.register(name)
        south.register(name)
    both = [north.domain, south.domain]
    first = queries.list_devices(domains=both, limit=3)
    last = first.devices[-1]
    second = queries.list_devices(domains=both, after=(last.name, last.id), limit=3)
    assert [device.name for device in (*first.devices, *second.devices)] == ["a", "a", "b", "b"]
    assert names(north) == ["a", "b"]


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        (DeviceFilter(name="pump-1"), ["pump-1", "pump-10"]),
        (DeviceFilter(name="pump-2"), ["pump-2"]),
        (DeviceFilter(name="%"), []),
        (DeviceFilter(group="hall"), ["pump-2"]),
        (DeviceFilter(device_type="valve"), ["valve"]),
        (DeviceFilter(state="revoked"), []),
        (DeviceFilter(state="nonsense"), []),
        (DeviceFilter(attributes={"site": "north"}), ["pump-1"]),
        (DeviceFilter(attributes={"site": "5"}), ["pump-10"]),
        (DeviceFilter(attributes={"litres": "5"}), ["pump-1"]),
        (DeviceFilter(attributes={"weight": "2.5"}), ["pump-1"]),
        (DeviceFilter(attributes={"wet": "true"}), ["pump-1"]),
        (DeviceFilter(attributes={"wet": "false"}), []),
        (DeviceFilter(attributes={"site": "north", "wet": "true"}), ["pump-1"]),
        (DeviceFilter(attributes={"site__startswith": "n"}), []),
        (DeviceFilter(attributes={"": "n"}), []),
    ],
)
def test_filters_narrow_the_list_and_its_count(north: Factory, narrowed: DeviceFilter, expected: list[str]) -> None:
    services.create_device_type(domain=north.domain, name="valve", schema={}, actor=ADA, now=north.now)
    north.register("pump-1", attributes={"site": "north", "litres": 5, "weight": 2.5, "wet": True})
    second = north.register("pump-2")
    north.register("pump-10", attributes={"site": "5"})
    north.register("valve", device_type="valve")
    services.create_group(domain=north.domain, name="hall", members=[second.id], actor=ADA, now=north.now)
    assert names(north, narrowed=narrowed) == expected
    assert queries.count_devices(domains=[north.domain], narrowed=narrowed) == len(expected)


def test_states_are_counted(north: Factory) -> None:
    north.register("a")
    north.device("b")
    counted = queries.count_by_state(domains=[north.domain])
    assert counted[DeviceState.PRE_REGISTERED] == counted[DeviceState.ACTIVE] == 1
    assert sum(counted.values()) == 2
    assert set(counted) == set(DeviceState)


def test_device_of_another_domain_is_not_found(north: Factory, south: Factory) -> None:
    device = north.register()
    assert queries.get_device(device=device.id, domains=[north.domain]) == device
    with pytest.raises(UnknownDevice):
        queries.get_device(device=device.id, domains=[south.domain])
    with pytest.raises(UnknownDevice):
        queries.get_device(device=device.id, domains=[])
    assert queries.find_principal_by_auth_id(domain=south.domain, auth_id="pump-17") is None


def test_policy_is_the_union_of_what_reaches_the_device(north: Factory) -> None:
    device, other = north.device("pump-1"), north.device("pump-2")
    services.create_group(domain=north.domain, name="hall", members=[device], actor=ADA, now=north.now)
    targets: dict[str, dict[str, Any]] = {
        "device": {"device": device},
        "group": {"group": "hall"},
        "device_type": {"device_type": "pump"},
        "domain": {"domain": "north"},
    }
    for via, target in targets.items():
        bind(north, north.role(f"by-{via}", DOWN), **target)
    bind(north, north.role("anothers", DOWN), device=other)
    policy = queries.subject_of(device=device, now=utc_now()).policy
    told = {bound.role_name: (bound.binding.via, bound.binding.target) for bound in policy if bound.binding}
    assert told == {
        "by-device": ("device", "pump-1"),
        "by-group": ("group", "hall"),
        "by-device_type": ("device_type", "pump"),
        "by-domain": ("domain", "north"),
    }


def test_binding_in_one_domain_reaches_none_of_another(north: Factory, south: Factory) -> None:
    device = south.device()
    bind(north, north.role(), domain="north")
    assert queries.subject_of(device=device, now=utc_now()).policy == ()


def test_principal_has_what_templates_take(north: Factory) -> None:
    made = north.enroll("pump-1", attributes={"site": "hall"})
    services.create_group(domain=north.domain, name="g", members=[made.device.id], actor=ADA, now=north.now)
    principal = queries.subject_of(device=made.device.id, now=utc_now()).principal
    assert (principal.auth_id, principal.client_id, principal.username) == ("pump-1",) * 3
    assert (principal.domain, principal.device_type, principal.groups) == ("north", "pump", ("g",))
    assert principal.attributes == {"site": "hall"}
    assert principal.certificate is not None
    assert principal.certificate.cn == "pump-1"
    assert principal.certificate.serial == made.certificate.serial_hex
    assert principal.certificate.san_uri == f"urn:gatehouse:north:device:{made.device.id}"


def test_unsafe_attribute_makes_its_rule_void(north: Factory) -> None:
    bind(north, north.role("sites", SITE), domain="north")
    safe = north.enroll("a", attributes={"site": "hall"}).device.id
    unsafe = north.enroll("b", attributes={"site": "#"}).device.id
    absent = north.device("c")
    assert (filters_of(safe), filters_of(unsafe), filters_of(absent)) == (["site/hall/#"], [None], [None])


@pytest.mark.parametrize("state", [state for state in DeviceState if state is not DeviceState.ACTIVE])
def test_device_that_is_not_active_has_no_policy(north: Factory, state: DeviceState) -> None:
    device = north.device()
    bind(north, north.role(), domain="north")
    assert queries.subject_of(device=device, now=utc_now()).policy
    Device.objects.update(state=state)
    assert queries.subject_of(device=device, now=utc_now()).policy == ()


def test_quarantined_device_has_the_quarantine_role_alone(north: Factory) -> None:
    device = north.device()
    bind(north, north.role(), domain="north")
    only = north.role("quarantine", DOWN)
    services.set_quarantine_role(domain=north.domain, role=only.id, actor=ADA, now=north.now)
    services.quarantine_device(device=device, actor=ADA, now=north.now)
    policy = queries.subject_of(device=device, now=utc_now()).policy
    assert [(bound.role_name, bound.binding) for bound in policy] == [("quarantine", None)]


def test_subjects_come_by_auth_id_and_agree_with_each_alone(north: Factory, south: Factory) -> None:
    south.device("a")
    for name in ("c", "b", "Z"):
        north.device(name)
    north.register("d")
    bind(north, north.role(), domain="north")
    found = list(queries.iterate_subjects(domain=north.domain, chunk=2, now=utc_now()))
    assert [subject.device.auth_id for subject in found] == ["Z", "b", "c", "d"]
    assert found == [queries.subject_of(device=subject.device.id, now=utc_now()) for subject in found]
    assert [
        subject.device.auth_id for subject in queries.iterate_subjects(domain=north.domain, after="b", now=utc_now())
    ] == [
        "c",
        "d",
    ]


def test_devices_with_the_same_roles_have_one_policy_across_chunks(north: Factory) -> None:
    bind(north, north.role("all", DOWN), domain="north")
    for name in ("a", "b", "c"):
        north.device(name)
    bind(north, north.role("own", SITE), device=north.device("d"))
    found = list(queries.iterate_subjects(domain=north.domain, chunk=2, now=utc_now()))
    assert [subject.policy is found[0].policy for subject in found] == [True, True, True, False]
    assert [bound.role_name for bound in found[3].policy] == ["all", "own"]


def test_queries_for_a_chunk_of_subjects_do_not_grow_with_it(
    north: Factory, django_assert_max_num_queries: AssertQueries
) -> None:
    bind(north, north.role(), domain="north")
    for number in range(12):
        row = north.register(f"pump-{number:02}")
        bind(north, north.role(f"role-{number}"), device=row.id)
    Device.objects.update(state=DeviceState.ACTIVE)
    with django_assert_max_num_queries(8):
        assert len(list(queries.iterate_subjects(domain=north.domain, chunk=100, now=utc_now()))) == 12


def test_queries_for_a_page_do_not_grow_with_it(north: Factory, django_assert_max_num_queries: AssertQueries) -> None:
    for number in range(12):
        north.register(f"pump-{number:02}")
    with django_assert_max_num_queries(3):
        assert len(names(north)) == 12


def test_subject_of_nobody_is_not_found(db: None) -> None:
    with pytest.raises(UnknownDevice):
        queries.subject_of(device=DeviceId(new_id()), now=utc_now())
