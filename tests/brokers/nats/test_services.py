"""Convergence, eviction and the regular check on a real server, with the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acl.core.values import Action
from brokers import queries, services
from brokers.core.nats.policy import NatsPermissions, permissions
from brokers.core.ports import DesiredState
from brokers.core.standing import render_subject
from brokers.core.values import AdapterKind, Broker, Listener, SyncState
from brokers.services import converging
from brokers.services.desired import desired_state
from devices import queries as devices_queries
from devices import services as devices
from kernel.core.clock import utc_now
from tests.brokers.fleet import PUMP_RULES, Enrolled, Fleet, allow
from tests.brokers.nats.server import Doorman, LiveNats
from tests.cast import ADA
from tests.e2e.mqtt import Identity, MqttDevice
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


class Gateway:
    """A registered server of the fleet. Its doorman grants what `grants` says by client id: nothing is judged here."""

    def __init__(self, fleet: Fleet, live: LiveNats, broker: Broker) -> None:
        self.fleet, self.live, self.broker = fleet, live, broker
        self.grants: dict[str, NatsPermissions] = {}
        self.open: list[MqttDevice] = []

    def connect(self, enrolled: Enrolled, **options: Any) -> MqttDevice:
        """A connection with the grant that is right at this moment, which stays as it is whatever happens.

        The server takes about a second to let a client id go that was in use.
        """
        subject = render_subject(devices_queries.subject_of(device=enrolled.id, now=utc_now()))
        name = enrolled.device.client_id
        self.grants[name] = permissions(subject)
        trust = self.live.folder / "ca.crt"
        identity = Identity(name, enrolled.certificate, enrolled.key, trust)

        def enters() -> bool:
            self.open.append(MqttDevice(identity, port=self.live.mqtt_port, **options))
            return self.open[-1].connect()

        wait_until(enters, what=f"{name} is in")
        return self.open[-1]

    def check(self) -> SyncState:
        return services.check_drift(broker=self.broker.id, now=utc_now()).sync


@pytest.fixture
def gateway(fleet: Fleet, tmp_path: Path) -> Iterator[Gateway]:
    live = LiveNats(tmp_path / "nats")
    chain, key = fleet.server_files("gw-1")
    live.prepare(client_ca=fleet.trust, server_chain=chain, server_key=key)
    live.start()
    broker = services.register_broker(
        domain=fleet.domain.id,
        name="gw-1",
        kind=AdapterKind.NATS,
        connection=live.connection,
        listeners=[Listener(host="127.0.0.1", port=live.mqtt_port)],
        actor=ADA,
        now=utc_now(),
    )
    gateway = Gateway(fleet, live, broker)
    with Doorman(live, lambda asked: gateway.grants.get(asked.client_id)):
        yield gateway
        for each in gateway.open:
            each.close()
    live.stop()


def test_check_finds_it_in_sync_and_closes_nobody(gateway: Gateway) -> None:
    pump = gateway.connect(gateway.fleet.enroll("p-1"))
    assert gateway.check() is SyncState.IN_SYNC
    assert gateway.check() is SyncState.IN_SYNC
    assert not pump.wait_closed(seconds=0.3)
    assert queries.get_broker(id=gateway.broker.id).version == "2.15.1"


def test_check_closes_at_once_what_should_not_be_there(gateway: Gateway) -> None:
    """A grant that was answered a moment before it was taken away, while `listen` was killed."""
    one, two, three = (gateway.fleet.enroll(f"p-{number}") for number in range(3))
    gateway.check()
    held = [gateway.connect(each) for each in (one, two, three)]
    devices.suspend_device(device=one.id, actor=ADA, now=utc_now())
    devices.decommission_device(device=two.id, actor=ADA, now=utc_now())
    assert gateway.check() is SyncState.IN_SYNC
    assert held[0].wait_closed()
    assert held[1].wait_closed()
    assert not held[2].wait_closed(seconds=0.3)


def test_changed_role_closes_those_that_it_changes(gateway: Gateway) -> None:
    pump = gateway.connect(gateway.fleet.enroll("p-1"))
    gateway.check()
    gateway.fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "extra/#"))
    outcome = services.converge(broker=gateway.broker.id, now=utc_now())
    assert (outcome.sync, outcome.steps) == (SyncState.IN_SYNC, 1)
    assert pump.wait_closed()


def test_who_gets_in_while_the_whole_is_compared_stays(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = gateway.fleet.enroll("p-1"), gateway.fleet.enroll("p-2")
    gateway.check()
    held, come = gateway.connect(one), []
    gateway.fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "extra/#"))

    def known_before(**words: Any) -> DesiredState:
        desired = desired_state(**words)
        gateway.fleet.change_role(*PUMP_RULES)
        come.append(gateway.connect(two))
        return desired

    monkeypatch.setattr(converging, "desired_state", known_before)
    assert services.converge(broker=gateway.broker.id, now=utc_now()).steps == 1
    assert held.wait_closed()
    assert not come[0].wait_closed(seconds=0.3)


def test_role_that_grants_the_same_closes_nobody(gateway: Gateway) -> None:
    pump = gateway.connect(gateway.fleet.enroll("p-1"))
    gateway.check()
    gateway.fleet.change_role(*reversed(PUMP_RULES))
    assert services.converge(broker=gateway.broker.id, now=utc_now()).steps == 0
    assert not pump.wait_closed(seconds=0.3)


def test_eviction_closes_the_device_alone(gateway: Gateway) -> None:
    one, two = gateway.fleet.enroll("p-1"), gateway.fleet.enroll("p-2")
    first, second = gateway.connect(one), gateway.connect(two)
    devices.suspend_device(device=one.id, actor=ADA, now=utc_now())
    services.evict(broker=gateway.broker.id, device=one.id, now=utc_now())
    assert first.wait_closed()
    assert not second.wait_closed(seconds=0.3)


def test_eviction_closes_a_connection_whose_grant_has_not_changed(gateway: Gateway) -> None:
    """One of two certificates was revoked: the connection may be the one that it began."""
    one = gateway.fleet.enroll("p-1")
    pump = gateway.connect(one)
    outcome = services.evict(broker=gateway.broker.id, device=one.id, now=utc_now())
    assert outcome.closed == 1
    assert pump.wait_closed()


def test_plan_tells_who_would_be_closed(gateway: Gateway) -> None:
    one = gateway.fleet.enroll("p-1")
    gateway.connect(one)
    gateway.check()
    gateway.fleet.change_role(allow(Action.PUBLISH, "${domain}/${client_id}/up/#"))
    plan = services.plan_broker(broker=gateway.broker.id, actor=ADA, now=utc_now())
    assert [(step.kind, step.target) for step in plan.steps] == [("close-connection", "p-1")]
    assert not plan.in_sync


def test_server_that_is_down_is_unreachable_and_then_in_order(gateway: Gateway) -> None:
    gateway.check()
    gateway.live.stop()
    assert gateway.check() is SyncState.UNREACHABLE
    gateway.live.start()
    assert gateway.check() is SyncState.IN_SYNC
