"""A broker that asks is registered, and holds the policy from then on: there is nothing to bring it."""

from __future__ import annotations

from threading import Event

import pytest

from acl.core.values import Publish
from brokers import queries, services
from brokers.adapters.http_decisions import HttpDecisionsAdapter
from brokers.core.registration import InvalidBroker
from brokers.core.values import AdapterKind, Broker, Listener, SyncState
from devices import services as devices
from kernel.core.clock import utc_now
from tests.brokers.fleet import Fleet
from tests.cast import ADA


def register(fleet: Fleet, dialect: str) -> Broker:
    return services.register_broker(
        domain=fleet.domain.id,
        name="hall-7",
        kind=AdapterKind.HTTP_DECISIONS,
        connection={"dialect": dialect},
        listeners=[Listener(host="mq.example", port=8883)],
        actor=ADA,
        now=utc_now(),
    )


def test_it_is_in_agreement_without_a_plan(fleet: Fleet) -> None:
    broker = register(fleet, "vernemq")
    assert services.plan_broker(broker=broker.id, actor=ADA, now=utc_now()).in_sync
    assert services.converge(broker=broker.id, now=utc_now()).sync is SyncState.IN_SYNC
    assert [each.host for each in queries.endpoints(fleet.domain.id)] == ["mq.example"]


def test_it_is_said_how_it_is_judged_there_and_that_sessions_stay(fleet: Fleet) -> None:
    broker, pump = register(fleet, "goauth"), fleet.enroll("pump-1")
    found = services.explain_request(device=pump.id, request=Publish(topic="north/pump-1/up/t"), now=utc_now())
    assert [each.enforced_as for each in found.brokers] == ["allow"]
    devices.suspend_device(device=pump.id, actor=ADA, now=utc_now())
    eviction = services.evict(broker=broker.id, device=pump.id, now=utc_now())
    assert eviction.closed is None
    assert "can not end a session" in eviction.detail


def test_without_a_dialect_it_is_not_registered(fleet: Fleet) -> None:
    with pytest.raises(InvalidBroker):
        register(fleet, "mqtt")


def test_there_is_nothing_to_hear(fleet: Fleet) -> None:
    adapter = HttpDecisionsAdapter(link=queries.link_to(broker=register(fleet, "emqx").id))
    stop = Event()
    stop.set()
    assert list(adapter.watch(stop)) == []
    assert adapter.publish_crl("", trust="") == ""
