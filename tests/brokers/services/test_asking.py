"""Who-can and reach over a small fleet: quarantine, bindings, what has to be judged one by one, two domains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest

from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Receive, Retain
from brokers import services
from brokers.services.asking_who_can import who_can_do
from devices import queries
from devices import services as devices
from devices.queries import DeviceSet
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from tests.brokers.fleet import PUMP_RULES, Fleet, allow, deny
from tests.cast import ADA


def add_role(fleet: Fleet, name: str, *rules: RuleSpec, **target: str) -> None:
    role = acl.create_role(domain=fleet.domain.id, name=name, rules=rules, actor=ADA, now=utc_now())
    if target:
        bound = BindingTarget(**target)  # type: ignore[arg-type]
        devices.bind_role(domain=fleet.domain.id, role=role.id, target=bound, actor=ADA, now=utc_now())
    else:
        devices.set_quarantine_role(domain=fleet.domain.id, role=role.id, actor=ADA, now=utc_now())


def whole(fleet: Fleet) -> DeviceSet:
    return queries.find_device_set(domain=queries.get_domain(id=fleet.domain.id))


def test_a_quarantined_device_may_what_the_quarantine_role_says_alone(fleet: Fleet) -> None:
    one, two = fleet.enroll("p-1"), fleet.enroll("p-2")
    add_role(fleet, "renew", allow(Action.PUBLISH, "${domain}/${client_id}/renew"))
    devices.quarantine_device(device=one.id, actor=ADA, now=utc_now())
    here = [fleet.domain.id]
    renewing = services.who_can(domains=here, action=Action.PUBLISH, topic="north/+/renew", now=utc_now())
    assert renewing.sample == (one.id,)
    assert [(grant.role_name, grant.binding) for grant in renewing.grants] == [("renew", None)]
    assert services.who_can(domains=here, action=Action.PUBLISH, topic="north/+/up/t", now=utc_now()).sample == (
        two.id,
    )
    devices.suspend_device(device=two.id, actor=ADA, now=utc_now())
    assert services.who_can(domains=here, action=Action.PUBLISH, topic="north/+/up/t", now=utc_now()).count == 0


def test_grants_name_each_binding_that_lets_somebody(fleet: Fleet) -> None:
    one = fleet.enroll("p-1")
    fleet.enroll("p-2")
    devices.create_group(domain=fleet.domain.id, name="wet", members=[one.id], actor=ADA, now=utc_now())
    devices.create_group(domain=fleet.domain.id, name="dry", members=[], actor=ADA, now=utc_now())
    add_role(fleet, "wet", allow(Action.PUBLISH, "water"), group="wet")
    role = acl.create_role(
        domain=fleet.domain.id, name="dry", rules=[allow(Action.PUBLISH, "water")], actor=ADA, now=utc_now()
    )
    for target in (BindingTarget(group="dry"), BindingTarget(device=one.id)):
        devices.bind_role(domain=fleet.domain.id, role=role.id, target=target, actor=ADA, now=utc_now())
    found = services.who_can(domains=[fleet.domain.id], action=Action.PUBLISH, topic="water", now=utc_now())
    assert (found.count, found.sample) == (1, (one.id,))
    said = {(grant.role_name, grant.binding.via, grant.binding.target) for grant in found.grants if grant.binding}
    assert said == {("wet", "group", "wet"), ("dry", "device", "p-1")}


def test_denies_that_take_all_only_together_are_judged_device_by_device(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    here, topic = [fleet.domain.id], "a/#"
    fleet.change_role(allow(Action.PUBLISH, topic), deny(Action.PUBLISH, "a"), deny(Action.PUBLISH, "a/+/#"))
    closed = services.who_can(domains=here, action=Action.PUBLISH, topic=topic, now=utc_now())
    assert (closed.count, closed.examined, closed.undecided) == (0, 1, 0)
    fleet.change_role(allow(Action.PUBLISH, topic), deny(Action.PUBLISH, "a"), deny(Action.PUBLISH, "a/+"))
    open_still = services.who_can(domains=here, action=Action.PUBLISH, topic=topic, now=utc_now())
    assert (open_still.count, open_still.examined, len(open_still.grants)) == (1, 0, 1)


def test_who_hears_is_asked_of_every_way_to_subscribe(fleet: Fleet) -> None:
    one = fleet.enroll("p-1")
    found = who_can_do(domains=[fleet.domain.id], question=Receive(topic="north/p-1/down/x"), now=utc_now())
    assert found.sample == (one.id,)
    assert who_can_do(domains=[fleet.domain.id], question=Receive(topic="north/p-9/down/x"), now=utc_now()).count == 0


def test_domains_reach_each_other_only_where_a_rule_says_so(fleet: Fleet, tmp_path: Path) -> None:
    south = Fleet(tmp_path, slug="south")
    fleet.enroll("p-1")
    south.enroll("s-1")
    assert services.reach(publishers=whole(fleet), subscribers=whole(south), now=utc_now()).lines == ()
    south.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "+/p-1/up/alarm"))
    [line] = services.reach(publishers=whole(fleet), subscribers=whole(south), now=utc_now()).lines
    assert (line.flow.filter, line.publishers, line.subscribers) == ("north/p-1/up/alarm", 1, 1)
    assert services.reach(publishers=whole(south), subscribers=whole(fleet), now=utc_now()).lines == ()


@pytest.mark.parametrize(
    "speaking",
    [
        [replace(allow(Action.PUBLISH, "plant/x"), qos=frozenset({1, 2}))],
        [replace(allow(Action.PUBLISH, "plant/x"), retain=Retain.ONLY)],
        [allow(Action.PUBLISH, "plant/x"), replace(deny(Action.PUBLISH, "plant/#"), qos=frozenset({0}))],
    ],
)
def test_a_flow_in_some_qos_or_with_retain_only_is_a_flow(fleet: Fleet, speaking: list[RuleSpec]) -> None:
    fleet.enroll("p-1")
    fleet.enroll("p-2")
    fleet.change_role(*speaking, allow(Action.SUBSCRIBE, "plant/x"))
    found = services.reach(publishers=whole(fleet), subscribers=whole(fleet), now=utc_now())
    assert [(line.flow.filter, line.publishers, line.subscribers) for line in found.lines] == [("plant/x", 2, 2)]


def test_a_flow_that_another_role_denies_in_every_way_is_none(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.change_role(allow(Action.PUBLISH, "plant/x"), allow(Action.SUBSCRIBE, "plant/x"))
    add_role(fleet, "mute", replace(deny(Action.PUBLISH, "plant/#"), retain=Retain.ONLY), domain="north")
    assert len(services.reach(publishers=whole(fleet), subscribers=whole(fleet), now=utc_now()).lines) == 1
    add_role(fleet, "muter", replace(deny(Action.PUBLISH, "plant/#"), retain=Retain.NEVER), domain="north")
    assert services.reach(publishers=whole(fleet), subscribers=whole(fleet), now=utc_now()).lines == ()


def test_many_rules_cost_seconds_neither_to_ask_who_may_nor_who_is_reached(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    allows = [allow(Action.PUBLISH, f"x/${{attr.a{n}}}/y") for n in range(60)]
    denies = [deny(Action.PUBLISH, f"x/${{client_id}}{n}/y") for n in range(60)]
    hearing = [allow(Action.SUBSCRIBE, f"x/+/${{attr.c{n}}}") for n in range(60)]
    fleet.change_role(allow(Action.PUBLISH, "x/#"), *allows, *denies, *hearing)
    started = process_time()
    found = services.who_can(domains=[fleet.domain.id], action=Action.PUBLISH, topic="x/k/y", now=utc_now())
    services.reach(publishers=whole(fleet), subscribers=whole(fleet), now=utc_now())
    assert process_time() - started < 5
    assert found.more_grants


def test_the_rules_looked_up_are_bounded_and_said_to_be(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.change_role(*(allow(Action.PUBLISH, topic) for topic in ("x/y", *(f"x/y/{n}" for n in range(5)))))
    few = services.who_can(domains=[fleet.domain.id], action=Action.PUBLISH, topic="x/y", now=utc_now())
    assert (few.count, len(few.grants), few.more_grants) == (1, 1, False)
    rules = [
        allow(Action.PUBLISH, "x/" + "/".join("+" if n >> bit & 1 else "y" for bit in range(5))) for n in range(25)
    ]
    fleet.change_role(*rules)
    many = services.who_can(domains=[fleet.domain.id], action=Action.PUBLISH, topic="x/y/y/y/y/y", now=utc_now())
    assert (many.count, len(many.grants), many.more_grants) == (1, 20, True)
