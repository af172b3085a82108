"""Wake-ups as a worker runs them: from the journal entry to the broker, twice, and while the broker is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connections

from brokers import models, queries, services, tasks
from brokers.conf import adapter_for
from brokers.core.outcomes import Eviction
from brokers.core.ports import AppliedState
from brokers.core.values import BrokerLink, SyncState
from brokers.listen import keeper
from brokers.services import checking
from brokers.services.lease import Lease
from devices import services as devices
from devices.core.values import DeviceId
from devices.models import Device
from kernel.core.clock import utc_now
from kernel.core.errors import Conflict, DomainError
from kernel.core.ids import EntryId
from kernel.core.journal import StepState
from kernel.models import Wakeup
from kernel.queries import find_operation
from pki.core.values import ReasonCode
from tests.brokers.conftest import Hall, make_hall
from tests.brokers.device import wait_until
from tests.brokers.fleet import Fleet
from tests.cast import ADA


def run_due() -> None:
    """Runs what is due of ours, as the sweep and one worker do."""
    for row in list(Wakeup.objects.due(now=utc_now()).filter(task__startswith="brokers.")) + list(
        Wakeup.objects.claimable(now=utc_now()).filter(task__startswith="brokers.").order_by("pk")
    ):
        current_app.tasks[row.task](wakeup=row.pk)


def run_all() -> None:
    """Until nothing of ours can run at once."""
    for _ in range(20):
        before = Wakeup.objects.open().filter(task__startswith="brokers.").count()
        run_due()
        if Wakeup.objects.open().filter(task__startswith="brokers.").count() in (0, before):
            return


def steps_of(operation: EntryId) -> dict[str, StepState]:
    found = find_operation(operation=operation)
    assert found is not None
    return {step.target: step.state for step in found.steps}


def test_policy_follows_the_journal(hall: Hall) -> None:
    hall.plan_and_apply()
    one = hall.fleet.enroll("p-1")
    run_all()
    device = hall.device(one)
    assert device.connect()
    assert device.publish("north/p-1/up/t")
    device.close()


def test_revocation_is_an_operation_whose_broker_step_ends(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    run_all()
    device = hall.device(one)
    assert device.connect()
    ordered = services.order_disconnect(broker=hall.broker.id, device=one.id, actor=ADA, now=utc_now())
    run_all()
    assert wait_until(lambda: device.ended)
    assert steps_of(ordered) == {"broker:hall-7": StepState.DONE}
    device = hall.device(one)
    assert device.connect(), "it was disconnected, and is not shut out"
    operation = devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    run_all()
    assert wait_until(lambda: device.ended)
    assert steps_of(operation)["broker:hall-7"] is StepState.DONE


def test_eviction_that_a_broker_refuses_holds_up_no_other(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    hall.plan_and_apply()
    run_all()
    evict = services.evict

    def refuse_first(*, device: DeviceId, **facts: Any) -> Eviction:
        if device == first.id:
            raise Conflict("An account of that name is somebody else's.")
        return evict(device=device, **facts)

    monkeypatch.setattr(services, "evict", refuse_first)
    refused, done = (
        devices.revoke_device(device=each.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
        for each in (first, second)
    )
    run_due()
    run_due()
    assert steps_of(refused)["broker:hall-7"] is StepState.PENDING
    assert steps_of(done)["broker:hall-7"] is StepState.DONE
    assert "gh.barred" in hall.live.ctrl("getClient", "p-2")


def test_broker_that_returns_obeys_within_five_seconds(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    run_all()
    hall.live.stop()
    operation = devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    for _ in range(4):
        run_due()
        time.sleep(0.3)
    assert steps_of(operation)["broker:hall-7"] is StepState.PENDING
    hall.live.start()
    soon = utc_now() + timedelta(seconds=5)
    assert not Wakeup.objects.open().filter(task__startswith="brokers.", wake_at__gt=soon).exists()

    def obeys() -> bool:
        run_due()
        return steps_of(operation)["broker:hall-7"] is StepState.DONE

    assert wait_until(obeys)
    assert "gh.barred" in hall.live.ctrl("getClient", "p-1")


def test_wakeup_of_a_removed_broker_ends(hall: Hall) -> None:
    hall.plan_and_apply()
    hall.fleet.enroll("p-1")
    services.remove_broker(broker=hall.broker.id, actor=ADA, now=utc_now())
    run_all()
    assert not Wakeup.objects.open().filter(task__startswith="brokers.").exists()


def test_check_looks_after_each_broker(hall: Hall) -> None:
    hall.plan_and_apply()
    models.Broker.objects.update(sync=SyncState.UNREACHABLE)
    tasks.check_one(broker=str(hall.broker.id))
    assert hall.now().sync is SyncState.IN_SYNC


@pytest.fixture
def large_hall(transactional_db: None, tmp_path: Path, home: Path) -> Iterator[Hall]:
    made = make_hall(Fleet(tmp_path), home)
    yield made
    made.live.stop()


def hold_second_batch(monkeypatch: pytest.MonkeyPatch) -> list[Lease]:
    """The batches of bulk changes that begin from now on; the second waits until somebody asks it to yield."""
    batches: list[Lease] = []
    asked = threading.Event()
    keep, ask = Lease.keep, Lease.ask_others_to_yield

    def wait_and_keep(lease: Lease) -> None:
        if models.Broker.objects.filter(lease_writes=True).exists():
            batches.append(lease)
            if len(batches) > 1:
                asked.wait(90)
        keep(lease)

    def ask_and_tell(lease: Lease) -> None:
        ask(lease)
        asked.set()

    monkeypatch.setattr(Lease, "keep", wait_and_keep)
    monkeypatch.setattr(Lease, "ask_others_to_yield", ask_and_tell)
    return batches


@pytest.mark.several_writers
def test_eviction_does_not_wait_for_a_bulk_change(large_hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices are pushed in batches of a few while one is thrown out."""
    hall = large_hall
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    for number in range(30):
        device = devices.register_device(
            domain=hall.fleet.domain.id, name=f"q-{number}", device_type="pump", actor=ADA, now=utc_now()
        )
        _activate(device.id)
    live = hall.device(one)
    assert live.connect()
    models.Broker.objects.update(sync=SyncState.PENDING)
    batches = hold_second_batch(monkeypatch)
    ended: list[str] = []
    thread = threading.Thread(target=lambda: ended.append(_converge(hall)))
    thread.start()
    assert wait_until(lambda: len(batches) > 1)
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    services.evict(broker=hall.broker.id, device=one.id, now=utc_now())
    assert wait_until(lambda: live.ended)
    thread.join(90)
    assert ended == ["broker-busy"]
    services.converge(broker=hall.broker.id, now=utc_now())
    assert "gh.barred" in hall.live.ctrl("getClient", "p-1")
    assert hall.now().sync is SyncState.IN_SYNC
    live.close()


@pytest.mark.several_writers
def test_eviction_does_not_wait_for_a_check(large_hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device is thrown out while a check has read what the broker holds, and has the lease."""
    hall = large_hall
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    live = hall.device(one)
    assert live.connect()
    before = models.Broker.objects.values("sync", "drifted_at", "detail").get()
    reads, goes_on = threading.Event(), threading.Event()
    adapter = adapter_for(queries.link_to(broker=hall.broker.id))
    read = adapter.read

    def wait_and_read() -> AppliedState:
        applied = read()
        reads.set()
        goes_on.wait(90)
        return applied

    monkeypatch.setattr(adapter, "read", wait_and_read)
    monkeypatch.setattr(checking, "adapter_for", lambda _link: adapter)
    check = threading.Thread(target=_check, args=(hall,))
    check.start()
    assert reads.wait(90)
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    run_all()
    assert wait_until(lambda: live.ended)
    assert check.is_alive()
    goes_on.set()
    check.join(90)
    assert models.Broker.objects.values("sync", "drifted_at", "detail").get() == before
    assert models.Broker.objects.get().desired_digest == "", "as the eviction left it"
    assert "gh.barred" in hall.live.ctrl("getClient", "p-1")
    live.close()


def _check(hall: Hall) -> None:
    services.check_drift(broker=hall.broker.id, now=utc_now())
    connections.close_all()


def _converge(hall: Hall) -> str:
    try:
        return services.converge(broker=hall.broker.id, now=utc_now()).sync.value
    except DomainError as error:
        return error.code
    finally:
        connections.close_all()


def _activate(device: DeviceId) -> None:
    Device.objects.filter(id=device).update(state="active")


def test_listener_writes_down_who_comes_to_mosquitto(large_hall: Hall) -> None:
    one = large_hall.fleet.enroll("p-1")
    stop = threading.Event()
    link = queries.link_to(broker=large_hall.broker.id)
    thread = threading.Thread(target=_listen, args=(link, stop))
    thread.start()

    def is_known() -> bool:
        device = large_hall.device(one)
        device.connect()
        known = wait_until(lambda: bool(queries.sessions_of(device=one.id)), seconds=0.5)
        device.close()
        return known

    assert wait_until(is_known)
    assert wait_until(lambda: not queries.sessions_of(device=one.id))
    stop.set()
    thread.join(90)
    assert {"connected", "disconnected"} <= {event.kind for event in queries.events_of(device=one.id)}


def _listen(link: BrokerLink, stop: threading.Event) -> None:
    keeper._watch(link, stop)
    connections.close_all()
