"""Who-can and reach over a small fleet: quarantine, bindings, what has to be judged one by one, two domains."""

from __future__ import annotations

from pathlib import Path

from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Receive
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
    renewing = services.who_can(domains=here, action=Action.PUBLISH, topic="north/+/renew")
    assert renewing.sample == (one.id,)
    assert [(grant.role_name, grant.binding) for grant in renewing.grants] == [("renew", None)]
    assert services.who_can(domains=here, action=Action.PUBLISH, topic="north/+/up/t").sample == (two.id,)
    devices.suspend_device(device=two.id, actor=ADA, now=utc_now())
    assert services.who_can(domains=here, action=Action.PUBLISH, topic="north/+/up/t").count == 0


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
    found = services.who_can(domains=[fleet.domain.id], action=Action.PUBLISH, topic="water")
    assert (found.count, found.sample) == (1, (one.id,))
    said = {(grant.role_name, grant.binding.via, grant.binding.target) for grant in found.grants if grant.binding}
    assert said == {("wet", "group", "wet"), ("dry", "device", "p-1")}


def test_denies_that_take_all_only_together_are_judged_device_by_device(fleet: Fleet) -> None:
    fleet.enroll("p-1")
    here, topic = [fleet.domain.id], "a/#"
    fleet.change_role(allow(Action.PUBLISH, topic), deny(Action.PUBLISH, "a"), deny(Action.PUBLISH, "a/+/#"))
    closed = services.who_can(domains=here, action=Action.PUBLISH, topic=topic)
    assert (closed.count, closed.examined, closed.undecided) == (0, 1, 0)
    fleet.change_role(allow(Action.PUBLISH, topic), deny(Action.PUBLISH, "a"), deny(Action.PUBLISH, "a/+"))
    open_still = services.who_can(domains=here, action=Action.PUBLISH, topic=topic)
    assert (open_still.count, open_still.examined, len(open_still.grants)) == (1, 0, 1)


def test_who_hears_is_asked_of_every_way_to_subscribe(fleet: Fleet) -> None:
    one = fleet.enroll("p-1")
    found = who_can_do(domains=[fleet.domain.id], question=Receive(topic="north/p-1/down/x"))
    assert found.sample == (one.id,)
    assert who_can_do(domains=[fleet.domain.id], question=Receive(topic="north/p-9/down/x")).count == 0


def test_domains_reach_each_other_only_where_a_rule_says_so(fleet: Fleet, tmp_path: Path) -> None:
    south = Fleet(tmp_path, slug="south")
    fleet.enroll("p-1")
    south.enroll("s-1")
    assert services.reach(publishers=whole(fleet), subscribers=whole(south)).lines == ()
    south.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "+/p-1/up/alarm"))
    [line] = services.reach(publishers=whole(fleet), subscribers=whole(south)).lines
    assert (line.flow.filter, line.publishers, line.subscribers) == ("north/p-1/up/alarm", 1, 1)
    assert services.reach(publishers=whole(south), subscribers=whole(fleet)).lines == ()
