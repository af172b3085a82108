"""What becomes of evictions and checks where a broker's adapter refuses, or the broker does not do as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from acl.core.values import Principal
from brokers import models, queries, services
from brokers.core.ports import (
    AppliedState,
    BrokerUnreachable,
    Capabilities,
    DesiredState,
    Rendering,
    SessionNotClosed,
    Standing,
    Step,
)
from brokers.core.taken_names import AccountTaken, due, refusal, taken, turned_away
from brokers.core.values import BrokerId, SyncState
from brokers.services import checking, converging, evicting
from brokers.services.converging import BrokerDidNotObey
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.core.errors import Conflict, DomainError
from pki.core.values import ReasonCode
from tests.brokers.fleet import Fleet
from tests.cast import ADA


class Taken(Conflict):
    """Somebody else's account has the name of a device."""

    code = "taken"


TAKEN = Taken("The account is somebody else's: rename it.")
STEP = Step(kind="set", target="pump-1", summary="Set pump-1.")


@dataclass
class Refusing:
    """An adapter. `fault` is raised where `at` says; without one it takes every step and nothing changes."""

    at: str = ""
    fault: DomainError = TAKEN
    closed: list[str] = field(default_factory=list)
    capabilities: ClassVar[Capabilities] = Capabilities(stores_policy=True, protocol_versions=())

    def _do(self, what: str) -> None:
        if what == self.at:
            raise self.fault

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        self._do("read")
        return AppliedState(artifact="", only=only)

    def plan(self, _desired: DesiredState, _applied: AppliedState) -> tuple[Step, ...]:
        self._do("plan")
        return (STEP,)

    def apply(self, _steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        between()
        self._do("apply")

    def render(self, _desired: DesiredState) -> Rendering:
        return Rendering(artifact="{}")

    def disconnect(self, principal: Principal) -> int:
        self._do("disconnect")
        self.closed.append(principal.auth_id)
        return 1


Refuse = Callable[..., Refusing]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Makes an adapter, which every broker has from then on."""

    def make(at: str = "", fault: DomainError = TAKEN) -> Refusing:
        adapter = Refusing(at=at, fault=fault)
        for module in (evicting, converging, checking):
            monkeypatch.setattr(module, "adapter_for", lambda _link: adapter)
        return adapter

    return make


@pytest.fixture
def broker(asking_broker: BrokerId) -> BrokerId:
    """One that a plan was applied to."""
    models.Broker.objects.update(sync=SyncState.IN_SYNC)
    return asking_broker


def test_session_ends_though_its_rights_can_not_be_taken_away(fleet: Fleet, broker: BrokerId, refusing: Refuse) -> None:
    device = fleet.enroll("pump-1").id
    devices.revoke_device(device=device, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    for at in ("read", "plan", "apply"):
        adapter = refusing(at)
        with pytest.raises(Taken):
            services.evict(broker=broker, device=device, now=utc_now())
        assert adapter.closed == ["pump-1"]
    adapter = refusing()
    with pytest.raises(BrokerDidNotObey, match="still has what was taken away"):
        services.evict(broker=broker, device=device, now=utc_now())
    assert adapter.closed == ["pump-1"]
    adapter = refusing("disconnect")
    with pytest.raises(BrokerDidNotObey):  # what it has is worse than what it has open
        services.evict(broker=broker, device=device, now=utc_now())
    adapter = refusing("read", BrokerUnreachable("It is down."))
    with pytest.raises(BrokerUnreachable):
        services.evict(broker=broker, device=device, now=utc_now())
    assert adapter.closed == []  # it would be waited for once more


def test_broker_that_takes_everything_and_changes_nothing_is_told(broker: BrokerId, refusing: Refuse) -> None:
    refusing()
    with pytest.raises(BrokerDidNotObey, match=r"took 1 changes, and 1 are still to be made; the first: Set pump-1\."):
        services.converge(broker=broker, now=utc_now())
    assert queries.get_broker(id=broker).sync is SyncState.PENDING


def test_broker_that_can_not_be_judged_is_not_called_in_sync(broker: BrokerId, refusing: Refuse) -> None:
    for at in ("read", "plan"):
        models.Broker.objects.update(sync=SyncState.IN_SYNC, detail="")
        refusing(at)
        found = services.check_drift(broker=broker, now=utc_now())
        assert (found.sync, found.detail) == (SyncState.PENDING, TAKEN.detail)
        told = queries.get_broker(id=broker)
        assert (told.sync, told.detail) == (SyncState.PENDING, TAKEN.detail)
    models.Broker.objects.update(managed_since=None, sync=SyncState.UNKNOWN, detail="")
    refusing("read")
    assert services.check_drift(broker=broker, now=utc_now()).sync is SyncState.UNKNOWN


@dataclass
class Owned(Refusing):
    """An adapter of a broker where p-1 is somebody else's account; it holds the names that it was told."""

    held: set[str] = field(default_factory=set)

    def plan(self, desired: DesiredState, _applied: AppliedState) -> tuple[Step, ...]:
        rest = turned_away(desired, {"p-1"}, state=Standing.BARRED)
        admitted = {each.principal.auth_id for each in rest.subjects if each.policy}
        present = self.held if desired.only is None else self.held & desired.only
        steps = [Step(kind="set", target=name, summary=f"Set {name}.") for name in sorted(admitted - present)]
        steps += [Step(kind="delete", target=name, summary=f"Delete {name}.") for name in sorted(present - admitted)]
        if any(each.principal.auth_id == "p-1" for each in desired.subjects):
            steps.append(taken("p-1", "p-1 is somebody else's: rename it."))
        return tuple(steps)

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        between()
        assert steps
        for step in steps:
            assert step.kind in {"set", "delete"}
            (self.held.add if step.kind == "set" else self.held.remove)(step.target)


def test_name_that_is_taken_holds_up_nobody_else(
    fleet: Fleet, broker: BrokerId, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = Owned()
    for module in (evicting, converging, checking):
        monkeypatch.setattr(module, "adapter_for", lambda _link: adapter)
    devices_by_name = {name: fleet.enroll(name).id for name in ("p-1", "p-2", "p-3")}
    with pytest.raises(AccountTaken, match=r"^p-1 is somebody else's: rename it\.$"):
        services.converge(broker=broker, now=utc_now())
    assert adapter.held == {"p-2", "p-3"}
    told = queries.get_broker(id=broker)
    assert (told.sync, told.detail) == (SyncState.DRIFT, "p-1 is somebody else's: rename it.")
    assert services.check_drift(broker=broker, now=utc_now()).sync is SyncState.DRIFT

    adapter.held = {"p-2"}
    models.Broker.objects.update(desired_digest="")  # as if the policy had changed
    found = services.check_drift(broker=broker, now=utc_now())
    assert (found.sync, found.differences) == (SyncState.DRIFT, ("p-1 is somebody else's: rename it.",))
    assert adapter.held == {"p-2", "p-3"}

    devices.suspend_device(device=devices_by_name["p-2"], actor=ADA, now=utc_now())
    services.evict(broker=broker, device=devices_by_name["p-2"], now=utc_now())
    assert (adapter.held, adapter.closed) == ({"p-3"}, ["p-2"])
    for attempt in (services.evict, services.converge):
        with pytest.raises(AccountTaken):
            attempt(broker=broker, device=devices_by_name["p-1"], now=utc_now())
    assert adapter.closed == ["p-2", "p-1"]  # what it has open ends, whosever the account is
    assert queries.get_broker(id=broker).sync is SyncState.DRIFT


def test_refusal_counts_the_names() -> None:
    steps = (taken("a", "One."), STEP, taken("b", "Two."))
    assert due(steps) == (STEP,)
    refused = refusal(steps)
    assert refused is not None
    assert refused.detail == "One. There are 2 names like that."
    assert refusal((STEP,)) is None


def test_session_that_can_not_be_ended_is_a_fault_of_that_eviction_and_no_outage(
    fleet: Fleet, broker: BrokerId, refusing: Refuse
) -> None:
    device = fleet.enroll("pump-1").id
    devices.suspend_device(device=device, actor=ADA, now=utc_now())
    adapter = refusing("apply", SessionNotClosed("The session of 'pump-1' goes on."))
    for attempt in (services.evict, services.converge):
        with pytest.raises(SessionNotClosed):
            attempt(broker=broker, device=device, now=utc_now())
        assert queries.get_broker(id=broker).sync is not SyncState.UNREACHABLE
    assert adapter.closed == []  # whoever could not end it a moment ago is not asked again
    assert queries.get_broker(id=broker).detail == "The session of 'pump-1' goes on."
