"""What is written while somebody has to accept first that a broker would allow more than the policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from acl import services as acl
from acl.core.values import Action, BoundRule
from brokers import models, queries, services
from brokers.core.plans import DeviationNotAccepted
from brokers.core.ports import Capabilities, DesiredState, Deviation, DeviationKind, Rendering
from brokers.core.targets import HIVEMQ_ESE_FILE
from brokers.core.values import BrokerId, SyncState
from brokers.services import converging, evicting, planning
from brokers.services.held_back import without_unaccepted
from devices import services as devices
from kernel.core.clock import utc_now
from tests.brokers.fleet import PUMP_RULES, Fleet, allow, deny
from tests.brokers.held_adapter import HeldAdapter
from tests.brokers.subjects import ALL, DOWN, PUBLISH, SUBSCRIBE, UP, rule, subject
from tests.cast import ADA


@dataclass
class Widening(HeldAdapter):
    """Where whatever is allowed below wide/ is more than the policy says."""

    def render(self, desired: DesiredState) -> Rendering:
        bound = [each for subject in desired.subjects for each in subject.policy if each.rule.topic.startswith("wide/")]
        found = [Deviation(rule=each, principals=(), kind=DeviationKind.WIDER, why="So it is.") for each in bound]
        return replace(super().render(desired), deviations=tuple({each.id: each for each in found}.values()))

    def disconnect(self, _principal: object) -> int:
        return 0

    def topics(self) -> set[str]:
        return {each.topic for acls in self.held.roles.values() for each in acls}


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Widening:
    made = Widening()
    for module in (converging, evicting, planning):
        monkeypatch.setattr(module, "adapter_for", lambda _link: made)
    return made


def who() -> dict[str, Any]:
    return {"actor": ADA, "now": utc_now()}


def test_what_is_taken_away_goes_and_only_the_wider_rule_waits(
    fleet: Fleet, asking_broker: BrokerId, adapter: Widening
) -> None:
    pump = fleet.enroll("p-1")
    models.Broker.objects.update(managed_since=utc_now())
    services.converge(broker=asking_broker, now=utc_now())
    assert "north/all/#" in adapter.topics()
    fleet.change_role(
        *PUMP_RULES[:2], deny(Action.PUBLISH, "secret/#"), allow(Action.PUBLISH, "wide/a"), allow(Action.PUBLISH, "b")
    )
    for _ in range(2):  # and what was done is not done again
        with pytest.raises(DeviationNotAccepted):
            services.converge(broker=asking_broker, now=utc_now())
        assert adapter.topics() & {"north/all/#", "secret/#", "wide/a", "b"} == {"secret/#", "b"}
        assert queries.get_broker(id=asking_broker).sync is SyncState.PENDING
    with pytest.raises(DeviationNotAccepted):
        services.converge(broker=asking_broker, device=pump.id, now=utc_now())
    services.evict(broker=asking_broker, device=pump.id, now=utc_now())
    assert "wide/a" not in adapter.topics()

    plan = services.plan_broker(broker=asking_broker, **who())
    ids = tuple(each.id for each in plan.deviations)
    services.apply_plan(broker=asking_broker, plan=plan.id, accept_deviations=ids, **who())
    services.converge(broker=asking_broker, now=utc_now())
    assert "wide/a" in adapter.topics()
    assert queries.get_broker(id=asking_broker).sync is SyncState.IN_SYNC


def test_who_goes_into_quarantine_gets_no_wider_rule_either(
    fleet: Fleet, asking_broker: BrokerId, adapter: Widening
) -> None:
    pump = fleet.enroll("p-1")
    models.Broker.objects.update(managed_since=utc_now())
    services.converge(broker=asking_broker, now=utc_now())
    rules = (allow(Action.PUBLISH, "wide/help"), allow(Action.PUBLISH, "help"))
    role = acl.create_role(domain=fleet.domain.id, name="apart", rules=rules, **who())
    devices.set_quarantine_role(domain=fleet.domain.id, role=role.id, **who())
    devices.quarantine_device(device=pump.id, note="", **who())
    services.evict(broker=asking_broker, device=pump.id, now=utc_now())
    [client] = adapter.held.clients.values()
    assert {each.topic for name, _ in client.roles for each in adapter.held.roles[name]} == {"help"}


class Hivemq:
    """Its own compiler: `a/b` is wider there, since it passes for `a/b/`, and `a/b/#` is not."""

    capabilities = Capabilities(stores_policy=True, protocol_versions=())

    def render(self, desired: DesiredState) -> Rendering:
        return HIVEMQ_ESE_FILE.render(desired.subjects)


def left_of(*policy: BoundRule, accepted: tuple[str, ...] = ()) -> list[BoundRule]:
    desired = DesiredState(subjects=(subject("p-1", *policy), subject("p-2", UP)))
    adapter = Hivemq()
    found = without_unaccepted(adapter, desired, adapter.render(desired).deviations, accepted)  # type: ignore[arg-type]
    assert found.subjects[1] is desired.subjects[1]
    return list(found.subjects[0].policy)


def test_rule_that_widens_where_another_is_left_out_is_left_out_as_well() -> None:
    literal, parent = rule("allow", PUBLISH, "a/b"), rule("allow", PUBLISH, "a/b/#")
    denied = rule("deny", SUBSCRIBE, "north/all/secret/#")
    assert left_of(UP, literal, denied) == [UP, denied]
    assert left_of(UP, literal, parent) == [UP, literal, parent]
    [deviation] = Hivemq().render(DesiredState(subjects=(subject("p-1", literal),))).deviations
    assert left_of(literal, DOWN, ALL, accepted=(deviation.id,)) == [literal, DOWN, ALL]
    assert left_of(rule("allow", PUBLISH, "a/c"), literal, accepted=(deviation.id,)) == [literal]
