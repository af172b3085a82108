"""What the operation says of an eviction, and who is disconnected once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from acl.core.values import Principal
from brokers import models, queries, services
from brokers.adapters.hivemq_ese import HivemqEseAdapter
from brokers.adapters.hivemq_files import HivemqEseFileAdapter
from brokers.adapters.nanomq import NanomqAdapter
from brokers.adapters.rabbitmq import RabbitmqAdapter
from brokers.adapters.vernemq_postgresql import VernemqPostgresqlAdapter
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Rendering, Step
from brokers.core.values import BrokerId, Connection
from brokers.services import disconnecting, evicting
from devices import services as devices
from devices.core.values import DeviceId
from kernel.core.clock import utc_now
from kernel.models import Wakeup
from kernel.queries import list_entries
from tests.brokers.api.test_disconnect import EMQX, register
from tests.brokers.fleet import Fleet
from tests.cast import ADA

STAYS = " Gatehouse can not end a session at this broker: one that is open goes on until it ends by itself."
IS_IN = "It may do what the policy says of it now, and come back with what is still good"
CAPABILITIES = Capabilities(stores_policy=True, protocol_versions=())


@dataclass
class Obeying:
    """An adapter that has so many steps to make, and closes what `closed` says."""

    capabilities: Capabilities = CAPABILITIES
    steps: int = 1
    closed: int | None = 1

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        return AppliedState(artifact="", only=only)

    def plan(self, _desired: DesiredState, _applied: AppliedState) -> tuple[Step, ...]:
        return (Step(kind="set", target="pump-1", summary="Set pump-1."),) * self.steps

    def apply(self, _steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        between()
        self.steps = 0

    def render(self, _desired: DesiredState) -> Rendering:
        return Rendering(artifact="{}")

    def disconnect(self, _principal: Principal) -> int | None:
        return self.closed

    def capabilities_here(self) -> Capabilities:
        return self.capabilities


@pytest.fixture
def broker(fleet: Fleet) -> BrokerId:
    return register(fleet, "hall-7", "emqx", EMQX)


@pytest.fixture
def pump(fleet: Fleet) -> DeviceId:
    return fleet.enroll("pump-1").id


@pytest.fixture
def told(broker: BrokerId, pump: DeviceId, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is said of the eviction by an adapter."""

    def evict(adapter: Obeying, *, by_certificate: bool = False) -> str:
        monkeypatch.setattr(evicting, "adapter_for", lambda _link: adapter)
        now = utc_now()
        return services.evict(broker=broker, device=pump, now=now, by_certificate=by_certificate).detail

    return evict


Told = Callable[..., str]


def test_who_is_shut_out_has_no_permissions_any_more(told: Told, pump: DeviceId) -> None:
    devices.suspend_device(device=pump, actor=ADA, now=utc_now())
    assert told(Obeying()) == "Its permissions are gone; 1 session closed."
    assert told(Obeying(closed=2)) == "Its permissions are gone; 2 sessions closed."
    assert told(Obeying(closed=-1)).startswith("Its permissions are gone; no session of it was known, and any there")
    assert told(Obeying(closed=None)) == f"Its permissions are gone for whoever connects from now on.{STAYS}"
    assert told(Obeying(), by_certificate=True) == "Its permissions are gone; 1 session closed."


def test_who_may_come_back_is_not_called_without_permissions(told: Told, pump: DeviceId) -> None:
    """Tokens were ended, a password or one certificate of two revoked, or it is in quarantine."""
    assert told(Obeying()) == f"{IS_IN}; 1 session closed."
    devices.quarantine_device(device=pump, actor=ADA, now=utc_now())
    assert told(Obeying()) == f"{IS_IN}; 1 session closed."
    assert told(Obeying(closed=None)) == f"{IS_IN}.{STAYS}"


def test_who_comes_in_with_the_revoked_certificate_is_told(told: Told) -> None:
    def of(lag: timedelta | None) -> str:
        adapter = Obeying(capabilities=replace(CAPABILITIES, certificate_lag=lag))
        return told(adapter, by_certificate=True).removeprefix(f"{IS_IN}; 1 session closed.")

    assert of(timedelta(0)) == "", "Gatehouse judges each"
    assert of(timedelta(seconds=100)) == " Its sessions end once more when this broker knows of the revocation."
    assert of(None).endswith("comes in again until this broker refuses it by itself, and stays: disconnect the device "
                             "once more then.")  # fmt: skip


@pytest.mark.parametrize("adapter", [HivemqEseAdapter, HivemqEseFileAdapter])
def test_session_that_was_opened_with_another_client_id_is_told(
    fleet: Fleet,
    pump: DeviceId,
    adapter: type[HivemqEseAdapter | HivemqEseFileAdapter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices.suspend_device(device=pump, actor=ADA, now=utc_now())
    obeying = Obeying(capabilities=replace(adapter.capabilities, policy_lag=timedelta(0)))
    for module in (evicting, disconnecting, queries):
        monkeypatch.setattr(module, "adapter_for", lambda _link: obeying)
    broker = register(fleet, "hall-8", "emqx", EMQX)
    other = " That is by its own client id alone: a session that it opened with another goes on."
    evicted = services.evict(broker=broker, device=pump, now=utc_now())
    assert evicted.detail == f"Its permissions are gone; 1 session closed.{other}"
    closed = services.disconnect(broker=broker, device=pump, now=utc_now())
    assert closed.detail == f"1 session closed; it may come back at once.{other}"
    obeying.closed = None
    assert other not in services.evict(broker=broker, device=pump, now=utc_now()).detail


def test_restart_ends_every_session_if_there_was_one(told: Told, pump: DeviceId) -> None:
    nanomq = NanomqAdapter.capabilities
    assert told(Obeying(capabilities=nanomq, steps=0, closed=None)) == f"{IS_IN}.{STAYS}"
    devices.suspend_device(device=pump, actor=ADA, now=utc_now())
    gone = "Its permissions are gone; the restart by which the broker reads that ends every session."
    for steps in (1, 0):
        assert told(Obeying(capabilities=nanomq, steps=steps, closed=None)) == gone


@pytest.mark.parametrize("adapter", [HivemqEseAdapter, HivemqEseFileAdapter, VernemqPostgresqlAdapter])
def test_broker_that_judges_when_somebody_connects_closes_who_just_did(
    told: Told, pump: DeviceId, adapter: type[HivemqEseAdapter | HivemqEseFileAdapter | VernemqPostgresqlAdapter]
) -> None:
    devices.suspend_device(device=pump, actor=ADA, now=utc_now())
    told(Obeying(capabilities=RabbitmqAdapter.capabilities))
    assert not Wakeup.objects.filter(task="brokers.disconnect").exists()
    told(Obeying(capabilities=adapter.capabilities))
    entry = list_entries(limit=1)[0]
    assert (entry.action, entry.actor.id, entry.subject.label) == (
        "brokers.session.end_ordered",
        "gatehouse",
        "pump-1",
    )
    [wakeup] = Wakeup.objects.filter(task="brokers.disconnect")
    assert wakeup.order_key.startswith("disconnect-later:"), "what an operator orders now does not wait for it"


def test_connection_that_evicting_has_open_serves_the_ending_again(
    told: Told, pump: DeviceId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it can close is asked of the adapter that is at hand."""
    devices.suspend_device(device=pump, actor=ADA, now=utc_now())
    opens, opened = queries.opened_connection, list[str]()

    def noted(row: models.Broker) -> Connection:
        opened.append(row.name)
        return opens(row)

    monkeypatch.setattr(queries, "opened_connection", noted)
    lags = HivemqEseAdapter.capabilities
    told(Obeying(capabilities=replace(lags, closes_sessions=False), closed=None))
    assert not Wakeup.objects.filter(task="brokers.disconnect").exists()
    told(Obeying(capabilities=replace(lags, closes_sessions=True)))
    assert Wakeup.objects.filter(task="brokers.disconnect").count() == 1
    assert opened == ["hall-7"] * 2
