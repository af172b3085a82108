"""Checks and pushes that give way: an eviction waits for nobody who only reads, and what was seen then is not noted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action
from brokers import models, queries, services
from brokers.core.outcomes import Eviction
from brokers.core.values import BrokerId, SyncState
from brokers.services import checking, converging, evicting
from brokers.services.lease import BrokerBusy, Lease, lease_on
from devices import services as devices
from kernel.core.clock import utc_now
from tests.brokers.fleet import PUMP_RULES, Enrolled, Fleet, allow
from tests.brokers.held_adapter import HeldAdapter
from tests.cast import ADA

NEWS = allow(Action.SUBSCRIBE, "news/#")
ADAPTER_PHASES = ("read", "render", "plan")

EvictAtTheEnd = Callable[..., list[Eviction]]


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> HeldAdapter:
    made = HeldAdapter()
    for module in (checking, converging, evicting):
        monkeypatch.setattr(module, "adapter_for", lambda _link: made)
    return made


@pytest.fixture
def pumps(fleet: Fleet) -> dict[str, Enrolled]:
    return {name: fleet.enroll(name) for name in ("p-1", "p-2")}


@pytest.fixture
def broker(pumps: dict[str, Enrolled], asking_broker: BrokerId, adapter: HeldAdapter) -> BrokerId:
    """It holds the policy for both pumps."""
    del pumps, adapter
    models.Broker.objects.update(managed_since=utc_now())
    services.converge(broker=asking_broker, now=utc_now())
    return asking_broker


@pytest.fixture
def broker_behind(fleet: Fleet, broker: BrokerId) -> BrokerId:
    """The same broker, whose devices may read NEWS since, which it does not hold yet."""
    fleet.change_role(*PUMP_RULES, NEWS)
    return broker


@pytest.fixture
def evict_at_the_end(
    broker: BrokerId, adapter: HeldAdapter, pumps: dict[str, Enrolled], monkeypatch: pytest.MonkeyPatch
) -> EvictAtTheEnd:
    """Has p-2 suspended and thrown out at the end of a phase of the adapter, or of what the module calls so."""

    def evict() -> Eviction:
        devices.suspend_device(device=pumps["p-2"].id, note="", actor=ADA, now=utc_now())
        return services.evict(broker=broker, device=pumps["p-2"].id, now=utc_now())

    def order(phase: str, *, module: ModuleType | None = None, time: int = 1) -> list[Eviction]:
        place = adapter if phase in ADAPTER_PHASES else module
        return at_the_end(monkeypatch, place, phase, evict, time=time)

    return order


def at_the_end(
    monkeypatch: pytest.MonkeyPatch, place: Any, phase: str, happens: Callable[[], Any], *, time: int = 1
) -> list[Any]:
    """Has it happen at the end of the phase, when that comes for the `time`-th time; the list has what it returned."""
    does, came, told = getattr(place, phase), 0, list[Any]()

    def done(*given: Any, **named: Any) -> Any:
        nonlocal came
        found, came = does(*given, **named), came + 1
        if came == time:
            told.append(happens())
        return found

    monkeypatch.setattr(place, phase, done)
    return told


def is_barred(adapter: HeldAdapter) -> bool:
    return "gh.barred" in {role for role, _ in adapter.held.clients["p-2"].roles}


def is_held(adapter: HeldAdapter, rule: RuleSpec) -> bool:
    return any(acl.topic == rule.topic for acls in adapter.held.roles.values() for acl in acls)


@pytest.mark.parametrize("phase", [*ADAPTER_PHASES, "desired_state"])
def test_eviction_takes_the_lease_from_a_check_that_then_notes_nothing(
    broker: BrokerId, adapter: HeldAdapter, evict_at_the_end: EvictAtTheEnd, phase: str
) -> None:
    told = evict_at_the_end(phase, module=checking)
    before = models.Broker.objects.values("sync", "drifted_at", "detail").get()
    services.check_drift(broker=broker, now=utc_now())
    assert [eviction.closed for eviction in told] == [0]
    assert is_barred(adapter)
    assert models.Broker.objects.values("sync", "drifted_at", "detail").get() == before
    assert models.Broker.objects.get().desired_digest == "", "as the eviction left it"
    assert services.check_drift(broker=broker, now=utc_now()).sync is SyncState.IN_SYNC
    assert models.Broker.objects.get().desired_digest


@pytest.mark.parametrize("phase", [*ADAPTER_PHASES, "desired_state"])
def test_eviction_takes_the_lease_from_a_push_that_then_writes_nothing(
    broker_behind: BrokerId, adapter: HeldAdapter, evict_at_the_end: EvictAtTheEnd, phase: str
) -> None:
    told = evict_at_the_end(phase, module=converging)
    with pytest.raises(BrokerBusy):
        services.converge(broker=broker_behind, now=utc_now())
    assert [eviction.closed for eviction in told] == [0]
    assert is_barred(adapter)
    assert not is_held(adapter, NEWS)
    assert services.converge(broker=broker_behind, now=utc_now()).sync is SyncState.IN_SYNC
    assert is_barred(adapter)


@pytest.mark.parametrize("phase", ["read", "plan"])
def test_push_whose_reading_back_an_eviction_interrupts_is_not_disobeyed(
    broker_behind: BrokerId, adapter: HeldAdapter, evict_at_the_end: EvictAtTheEnd, phase: str
) -> None:
    told = evict_at_the_end(phase, time=2)
    with pytest.raises(BrokerBusy):
        services.converge(broker=broker_behind, now=utc_now())
    assert [eviction.closed for eviction in told] == [0]
    assert is_held(adapter, NEWS)
    assert services.converge(broker=broker_behind, now=utc_now()).sync is SyncState.IN_SYNC


def test_push_of_one_device_that_is_interrupted_says_nothing_of_all(
    broker: BrokerId, pumps: dict[str, Enrolled], evict_at_the_end: EvictAtTheEnd
) -> None:
    evict_at_the_end("read")
    with pytest.raises(BrokerBusy):
        services.converge(broker=broker, device=pumps["p-1"].id, now=utc_now())
    assert queries.get_broker(id=broker).sync is SyncState.IN_SYNC


def test_eviction_waits_for_the_batch_that_is_being_written(broker: BrokerId) -> None:
    with lease_on(broker=broker, now=utc_now()) as lease:
        with lease.writing():
            assert not urgent_taken(broker)
        assert urgent_taken(broker)
        with pytest.raises(BrokerBusy):
            lease.keep()


def urgent_taken(broker: BrokerId) -> bool:
    """Whether an eviction has its turn at once."""
    return Lease(broker=broker, now=utc_now(), urgent=True).take()


@pytest.mark.parametrize("service", [services.evict, services.disconnect])
def test_one_of_many_lets_a_push_end_first(
    broker_behind: BrokerId,
    adapter: HeldAdapter,
    pumps: dict[str, Enrolled],
    monkeypatch: pytest.MonkeyPatch,
    service: Callable[..., Eviction],
) -> None:
    """A hundred thousand that go one after another would keep every change of policy from that broker for hours."""

    def waits() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("brokers.services.lease.time.sleep", _raise_waiting)
            with pytest.raises(_Waiting):
                service(broker=broker_behind, device=pumps["p-2"].id, now=utc_now(), bulk=True)

    at_the_end(monkeypatch, adapter, "read", waits)
    assert services.converge(broker=broker_behind, now=utc_now()).sync is SyncState.IN_SYNC
    assert is_held(adapter, NEWS)
    assert service(broker=broker_behind, device=pumps["p-2"].id, now=utc_now(), bulk=True).detail


def test_one_of_many_waits_no_longer_than_that(
    broker: BrokerId, pumps: dict[str, Enrolled], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.services.lease._OTHERS_FIRST_SECONDS", 0.1)
    with lease_on(broker=broker, now=utc_now()) as lease:
        assert services.evict(broker=broker, device=pumps["p-2"].id, now=utc_now(), bulk=True).closed == 0
        with pytest.raises(BrokerBusy):
            lease.keep()


def test_one_of_many_does_not_pass_an_eviction_that_waits(broker: BrokerId) -> None:
    models.Broker.objects.update(yield_until=utc_now() + timedelta(seconds=5))
    one_of_many = Lease(broker=broker, now=utc_now(), urgent=True)
    assert not one_of_many.take(others_first=True)
    assert one_of_many.take()


class _Waiting(Exception):
    """It would wait."""


def _raise_waiting(_seconds: float) -> None:
    raise _Waiting


def test_what_is_looked_at_beside_a_writer_is_shown_and_not_noted(
    broker: BrokerId, adapter: HeldAdapter, evict_at_the_end: EvictAtTheEnd
) -> None:
    models.Broker.objects.update(desired_digest="")
    adapter.allow("p-1", "everything/#")
    with lease_on(broker=broker, now=utc_now()):
        assert services.compare_broker(broker=broker, now=utc_now()).sync is SyncState.DRIFT
    assert queries.get_broker(id=broker).sync is SyncState.IN_SYNC
    evict_at_the_end("read")
    assert services.compare_broker(broker=broker, now=utc_now()).sync is SyncState.DRIFT
    assert is_barred(adapter)
    assert queries.get_broker(id=broker).sync is SyncState.IN_SYNC
    assert services.compare_broker(broker=broker, now=utc_now()).sync is SyncState.DRIFT
    assert queries.get_broker(id=broker).sync is SyncState.DRIFT
