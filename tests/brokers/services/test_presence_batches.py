"""Many events at a time come to the same as one after another, and cost few statements."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from acl import services as acl
from brokers import models, queries, services
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, AdapterKind, Broker, BrokerEvent
from brokers.services import policy_use, told_use
from devices import services as devices
from devices.core.values import DeviceId
from devices.models import Device
from devices.services.bindings import BindingTarget
from tests.brokers.fleet import PUMP_RULES
from tests.cast import ADA, NOW


@pytest.fixture
def broker(db: None) -> Broker:
    """Of a domain in which pump-1 is active and has the role of pumps."""
    domain = devices.create_domain(slug="north", name="North", actor=ADA, now=NOW)
    devices.create_device_type(domain=domain.id, name="pump", schema={}, actor=ADA, now=NOW)
    role = acl.create_role(domain=domain.id, name="pump", rules=PUMP_RULES, actor=ADA, now=NOW)
    devices.bind_role(domain=domain.id, role=role.id, target=BindingTarget(domain="north"), actor=ADA, now=NOW)
    devices.register_device(domain=domain.id, name="p-1", device_type="pump", actor=ADA, now=NOW)
    Device.objects.update(state="active")
    return services.register_broker(
        domain=domain.id,
        name="hall-7",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
        actor=ADA,
        now=NOW,
    )


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    told_use._kept.clear()


def pump() -> DeviceId:
    return DeviceId(Device.objects.get(name="p-1").id)


def come(client: str, *, second: int = 0, connection_id: str = "") -> BrokerEvent:
    return BrokerEvent(
        at=NOW + timedelta(seconds=second),
        kind=AccessKind.CONNECTED,
        auth_id=client,
        client_id=client,
        connection_id=connection_id,
    )


def go(client: str, *, connection_id: str = "", reason: AccessReason = AccessReason.DISCONNECTED) -> BrokerEvent:
    return BrokerEvent(
        at=NOW, kind=AccessKind.DISCONNECTED, client_id=client, connection_id=connection_id, reason=reason
    )


def lines() -> list[tuple[str, str, str]]:
    return [(row.kind, row.client_id, row.auth_id) for row in models.AccessEvent.objects.order_by("id")]


def test_who_comes_and_goes_in_one_batch_is_as_one_by_one(broker: Broker) -> None:
    batch = [
        come("p-1", connection_id="1"),
        go("p-1", connection_id="1"),
        come("p-1", connection_id="2"),
        go("p-1", connection_id="1"),  # a late end of the first
        come("p-2"),
        come("p-2", second=5),
        come("p-3"),
        go("p-3", reason=AccessReason.TAKEN_OVER),
        come("p-3", second=7),
        come("p-4"),
        go("p-4"),
    ]
    services.note_events(broker=broker.id, events=batch)
    sessions = {each.client_id: each for each in queries.sessions_on(broker=broker.id)}
    assert sorted(sessions) == ["p-1", "p-2", "p-3"]
    assert sessions["p-1"].connection_id == "2"
    assert sessions["p-1"].device == pump()
    assert sessions["p-2"].connected_at == NOW + timedelta(seconds=5)
    together = lines()
    models.AccessEvent.objects.all().delete()
    models.Session.objects.all().delete()
    for event in batch:
        services.note_events(broker=broker.id, events=[event])
    assert lines() == together
    assert len(together) == len(batch)


def test_end_that_says_nothing_is_of_the_connection_that_was_taken_over(broker: Broker) -> None:
    def ends(second: int) -> BrokerEvent:  # as VerneMQ tells it, behind the beginning of the newer one
        return BrokerEvent(at=NOW + timedelta(seconds=second), kind=AccessKind.DISCONNECTED, client_id="p-1")

    def told(*events: BrokerEvent) -> list[object]:
        services.note_events(broker=broker.id, events=events)
        return [session.connected_at for session in queries.sessions_on(broker=broker.id)]

    assert told(come("p-1")) == [NOW]
    assert told(ends(1)) == []  # nobody was taken over from: it left soon
    assert told(come("p-1", second=10), come("p-1", second=20), ends(21)) == [NOW + timedelta(seconds=20)]
    assert models.AccessEvent.objects.get(reason="taken-over").auth_id == "p-1"
    assert told(ends(24)) == [NOW + timedelta(seconds=20)]
    assert told(ends(25)) == []
    assert told(come("p-1", second=30), come("p-1", second=31), go("p-1")) == []  # this end says why


def test_start_of_the_broker_ends_what_was_before_it(broker: Broker) -> None:
    start = BrokerEvent(at=NOW + timedelta(seconds=1), kind=AccessKind.STARTED)
    services.note_events(broker=broker.id, events=[come("p-1"), start, come("p-2", second=2)])
    assert [each.client_id for each in queries.sessions_on(broker=broker.id)] == ["p-2"]


def test_batch_costs_few_statements(broker: Broker) -> None:
    events = [each for number in range(60) for each in (come(f"x-{number}"), go(f"x-{number}"), come(f"x-{number}"))]
    with CaptureQueriesContext(connection) as few:
        services.note_events(broker=broker.id, events=events)
    assert len(few) <= 12  # SQLite takes 66 lines of 15 values at once


def test_rule_of_a_subscription_that_was_told_is_counted(broker: Broker) -> None:
    subscribed = BrokerEvent(
        at=NOW,
        kind=AccessKind.ALLOWED,
        action=AccessAction.SUBSCRIBE,
        client_id="p-1",
        topic="north/p-1/down/cmd",
        qos=1,
    )
    denied = BrokerEvent(
        at=NOW, kind=AccessKind.DENIED, action=AccessAction.PUBLISH, client_id="p-1", topic="north/p-2/up/t"
    )
    unknown = BrokerEvent(at=NOW, kind=AccessKind.ALLOWED, action=AccessAction.SUBSCRIBE, client_id="?", topic="#")
    cut = BrokerEvent(
        at=NOW, kind=AccessKind.ALLOWED, action=AccessAction.SUBSCRIBE, client_id="p-1", topic="north/all/" + "x" * 600
    )
    services.note_events(broker=broker.id, events=[come("p-1"), subscribed, denied, unknown, cut])
    policy_use.flush()
    [use] = models.RuleUse.objects.all()
    assert (use.count, use.filters) == (1, ["${domain}/${client_id}/down/cmd"])
    assert use.last_device_id == pump()
    [attempt] = models.DeniedAttempt.objects.all()
    assert (attempt.device_id, attempt.topic, attempt.reason, attempt.count) == (
        pump(), "${domain}/p-2/up/t", "not-allowed", 1,
    )  # fmt: skip
    [line] = models.AccessEvent.objects.filter(kind="allowed", topic="north/p-1/down/cmd")
    assert (line.device_id, line.auth_id, line.qos) == (pump(), "p-1", 1)


def test_what_a_broker_does_otherwise_than_the_policy_has_no_rule(broker: Broker) -> None:
    wider = BrokerEvent(at=NOW, kind=AccessKind.ALLOWED, action=AccessAction.SUBSCRIBE, client_id="p-1", topic="other")
    narrower = BrokerEvent(
        at=NOW, kind=AccessKind.DENIED, action=AccessAction.SUBSCRIBE, client_id="p-1", topic="north/all/x"
    )
    services.note_events(broker=broker.id, events=[come("p-1"), wider, narrower])
    policy_use.flush()
    assert not models.RuleUse.objects.exists()
    [attempt] = models.DeniedAttempt.objects.all()
    assert (attempt.topic, attempt.reason, attempt.rule_id) == ("${domain}/all/x", "not-allowed", None)


def test_who_is_refused_is_nobody_else_by_naming_itself_so(broker: Broker) -> None:
    refused = BrokerEvent(at=NOW, kind=AccessKind.REFUSED, action=AccessAction.CONNECT, client_id="p-1")
    services.note_events(broker=broker.id, events=[come("p-1"), refused])
    [line] = models.AccessEvent.objects.filter(kind="refused")
    assert (line.device_id, line.auth_id, line.client_id) == (None, "", "p-1")


def test_names_are_cut_and_cleaned(broker: Broker) -> None:
    event = BrokerEvent(
        at=NOW,
        kind=AccessKind.REFUSED,
        auth_id="a" * 9_999,
        client_id="b\0\ud800" * 9_999,
        address="c" * 999,
        detail="d" * 9_999,
        topic="e" * 9_999,
    )
    services.note_events(broker=broker.id, events=[event])
    row = models.AccessEvent.objects.get()
    sizes = [len(text) for text in (row.auth_id, row.client_id, row.address, row.detail, row.topic)]
    assert sizes == [255, 255, 64, 500, 500]
    assert "\0" not in row.client_id
