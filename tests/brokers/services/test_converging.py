"""Plans, pushes and evictions against a real Mosquitto, from the register of devices to the device's own socket."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from acl.core.values import Action
from brokers import models, queries, services
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AccessKind, BrokerEvent, SyncState
from brokers.services.checking import DRIFT_STANDS
from brokers.services.lease import BrokerBusy, lease_on
from brokers.services.planning import PlanStale
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.queries import find_operation, list_entries
from pki import queries as pki
from pki import services as pki_services
from pki.core.values import ReasonCode
from tests.brokers.conftest import Hall
from tests.brokers.device import Device, wait_until
from tests.brokers.fleet import PUMP_RULES, Enrolled, allow, deny
from tests.brokers.mosquitto import ADMIN
from tests.cast import ADA


def newest_seq() -> int:
    return list_entries(limit=1)[0].seq


def connected(hall: Hall, enrolled: Enrolled) -> Device:
    device = hall.device(enrolled)
    assert device.connect(), hall.live.log()
    return device


def test_first_plan_says_what_devices_gain(hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    plan = services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now())
    assert not plan.in_sync
    assert {(line["device"], line["action"], line["filter"]) for line in plan.gain} == {
        ("p-1", "publish", "north/p-1/up/#"),
        ("p-1", "subscribe", "north/p-1/down/#"),
        ("p-1", "subscribe", "north/all/#"),
    }
    assert plan.lose == ()


def test_nothing_is_written_before_a_plan_was_applied(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    services.converge(broker=hall.broker.id, device=one.id, now=utc_now())
    assert "p-1" not in hall.live.ctrl("listClients")


def test_applied_plan_is_in_sync(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    assert hall.now().sync is SyncState.IN_SYNC
    assert hall.now().version.startswith("2.")
    assert services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now()).in_sync
    device = connected(hall, one)
    assert device.publish("north/p-1/up/t")
    assert not device.publish("north/p-2/up/t")
    device.close()


def test_operation_of_an_apply_has_the_broker_as_its_step(hall: Hall) -> None:
    plan = services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now())
    operation = services.apply_plan(broker=hall.broker.id, plan=plan.id, accept_deviations=(), actor=ADA, now=utc_now())
    found = find_operation(operation=operation)
    assert found is not None
    assert [step.target for step in found.steps] == ["broker:hall-7"]


def test_plan_is_stale_once_the_policy_has_changed(hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    plan = services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now())
    hall.fleet.change_role(allow(Action.PUBLISH, "other/#"))
    with pytest.raises(PlanStale):
        services.apply_plan(broker=hall.broker.id, plan=plan.id, accept_deviations=(), actor=ADA, now=utc_now())


def test_role_edit_reaches_a_live_device_without_closing_it(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    device = connected(hall, one)
    assert not device.subscribe("news/x")
    hall.fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "news/#"), deny(Action.PUBLISH, "+/+/up/secret"))
    services.converge(broker=hall.broker.id, now=utc_now(), seq=newest_seq())
    assert device.subscribe("news/x")
    assert not device.publish("north/p-1/up/secret")
    assert device.connected
    device.close()


def test_revoked_device_is_closed_and_comes_back_to_nothing(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    device = connected(hall, one)
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    assert wait_until(lambda: device.ended)
    again = hall.device(one)
    if again.connect():
        assert not again.publish("north/p-1/up/t")
        assert not again.subscribe("north/all/x")
        again.close()
    assert services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now()).in_sync


def test_eviction_says_which_sessions_ended(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    event = BrokerEvent(at=utc_now(), kind=AccessKind.CONNECTED, auth_id="p-1", client_id="p-1", address="127.0.0.1")
    services.note_events(broker=hall.broker.id, events=[event])
    assert [session.client_id for session in queries.sessions_of(device=one.id)] == ["p-1"]
    devices.suspend_device(device=one.id, actor=ADA, now=utc_now())
    found = services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    assert found.closed == 1
    assert "1 session closed" in found.detail
    assert queries.sessions_of(device=one.id) == []
    assert [event.kind for event in queries.events_of(device=one.id)] == ["disconnected", "connected"]


def test_suspended_device_has_its_rights_again_when_it_is_resumed(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    devices.suspend_device(device=one.id, actor=ADA, now=utc_now())
    services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    devices.resume_device(device=one.id, actor=ADA, now=utc_now())
    services.converge(broker=hall.broker.id, device=one.id, now=utc_now(), seq=newest_seq())
    device = connected(hall, one)
    assert device.publish("north/p-1/up/t")
    device.close()


def test_broker_that_was_down_obeys_at_its_return(hall: Hall) -> None:
    one, two = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    hall.plan_and_apply()
    hall.live.stop()
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    with pytest.raises(BrokerUnreachable):
        services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    assert hall.now().sync is SyncState.UNREACHABLE
    hall.fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "news/#"))
    with pytest.raises(BrokerUnreachable):
        services.converge(broker=hall.broker.id, now=utc_now(), seq=newest_seq())
    hall.live.start()
    services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    again = hall.device(one)
    if again.connect():
        assert not again.publish("north/p-1/up/t")
        again.close()
    services.converge(broker=hall.broker.id, device=two.id, now=utc_now(), seq=newest_seq())
    assert hall.now().sync is SyncState.IN_SYNC
    device = connected(hall, two)
    assert device.subscribe("news/x")
    device.close()


def test_backlog_is_done_with_the_first_whole(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    models.Broker.objects.update(sync=SyncState.UNREACHABLE)
    seq = newest_seq()
    first = services.converge(broker=hall.broker.id, device=one.id, now=utc_now(), seq=seq)
    second = services.converge(broker=hall.broker.id, device=one.id, now=utc_now(), seq=seq)
    assert "whole" in first.detail
    assert second.detail == "It was already done with the whole."


def test_lost_state_is_put_back_at_the_next_check(hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    hall.live.stop()
    chain, key = hall.fleet.server_files("new")
    crl = (hall.live.folder / "crl.pem").read_text()
    (hall.live.folder / "dynamic-security.json").unlink()
    hall.live.prepare(client_ca=hall.fleet.trust, crl=crl, server_chain=chain, server_key=key)
    hall.live.start()
    assert services.check_drift(broker=hall.broker.id, now=utc_now()).sync is SyncState.IN_SYNC
    assert "p-1" in hall.live.ctrl("listClients")


def test_change_by_hand_is_told_and_then_put_right(hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    hall.live.ctrl("addRoleACL", "gh.r.pump.allow", "publishClientSend", "everything/#", "allow", "9")
    found = services.check_drift(broker=hall.broker.id, now=utc_now())
    assert found.sync is SyncState.DRIFT
    assert "gh.r.pump.allow" in found.differences[0]
    assert hall.now().sync is SyncState.DRIFT
    assert "everything/#" in hall.live.ctrl("getRole", "gh.r.pump.allow")
    later = utc_now() + DRIFT_STANDS + timedelta(seconds=1)
    assert services.check_drift(broker=hall.broker.id, now=later).sync is SyncState.IN_SYNC
    assert "everything/#" not in hall.live.ctrl("getRole", "gh.r.pump.allow")


def test_looking_for_differences_changes_nothing(hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    hall.live.ctrl("deleteClient", "p-1")
    found = services.compare_broker(broker=hall.broker.id, now=utc_now())
    assert (found.sync, found.count) == (SyncState.DRIFT, 1)
    assert "p-1" not in hall.live.ctrl("listClients")


def test_administrator_is_left_alone(hall: Hall) -> None:
    before = hall.live.ctrl("getClient", ADMIN)
    hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    assert hall.live.ctrl("getClient", ADMIN) == before


def test_broker_that_stands_still_is_told_in_time(hall: Hall) -> None:
    hall.live.pause()
    began = time.monotonic()
    try:
        with pytest.raises(BrokerUnreachable):
            services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now())
    finally:
        hall.live.go_on()
    assert time.monotonic() - began < 45  # it gives up after 9
    assert hall.now().sync is SyncState.UNREACHABLE


def test_one_writer_at_a_time(hall: Hall) -> None:
    hall.plan_and_apply()
    with lease_on(broker=hall.broker.id, now=utc_now()), pytest.raises(BrokerBusy):
        services.converge(broker=hall.broker.id, now=utc_now())


def test_lease_of_a_dead_writer_runs_out(hall: Hall) -> None:
    hall.plan_and_apply()
    with lease_on(broker=hall.broker.id, now=utc_now() - timedelta(minutes=1)):
        services.converge(broker=hall.broker.id, now=utc_now())


def test_bulk_change_gives_way_to_an_eviction(hall: Hall) -> None:
    with lease_on(broker=hall.broker.id, now=utc_now()) as bulk:
        bulk.keep()
        models.Broker.objects.update(yield_until=utc_now() + timedelta(minutes=5))
        with pytest.raises(BrokerBusy):
            bulk.keep()


def test_held_certificate_bars_its_device_until_it_is_released(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    [certificate] = pki.certificates_of(holder=f"device:{one.id}")
    pki_services.hold_certificate(certificate=certificate.id, actor=ADA, now=utc_now())
    services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    assert services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now()).in_sync
    assert "gh.barred" in hall.live.ctrl("getClient", "p-1")
    pki_services.release_certificate(certificate=certificate.id, actor=ADA, now=utc_now())
    services.converge(broker=hall.broker.id, device=one.id, now=utc_now())
    assert "gh.barred" not in hall.live.ctrl("getClient", "p-1")
