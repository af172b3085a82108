"""Claiming, ordering, waiting, failing and sweeping of wake-ups."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

import pytest
from celery import current_app
from django.db import IntegrityError, transaction
from pytest_django import DjangoCaptureOnCommitCallbacks

from kernel import queries, services
from kernel.core.errors import Unavailable
from kernel.core.ids import EntryId
from kernel.core.journal import Queue, StepState
from kernel.models import Wakeup, WakeupQuerySet
from kernel.services.run_wakeup import MAX_FAULTS
from tests.cast import NOW
from tests.kernel.conftest import LEASE, Broken, Worker, record, step, wakeups

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("routed")]

Sent = list[tuple[str, int, str]]


def test_wakeups_are_sent_after_the_commit(
    sent: Sent, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        rows = wakeups(step("a"), step("b", queue=Queue.BULK))
        assert sent == []
    assert sent == [("tests.act", rows[0].pk, "revocation"), ("tests.act", rows[1].pk, "bulk")]


def test_transport_that_is_down_harms_nobody_and_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    asked = []

    def send_task(name: str, **_: object) -> None:
        asked.append(name)
        raise ConnectionRefusedError

    monkeypatch.setattr(current_app, "send_task", send_task)
    with django_capture_on_commit_callbacks(execute=True):
        wakeups(step("a"), step("b"), step("c"))
    assert len(asked) == 1


def test_wakeup_runs_once_and_keeps_its_detail(worker: Worker) -> None:
    [row] = wakeups(step("ocsp"))
    assert worker.run(row) == StepState.DONE
    assert worker.run(row) is None
    row.refresh_from_db()
    assert (row.detail, row.finished_at, worker.seen) == ("done it", NOW, ["ocsp"])


def test_leased_wakeup_is_left_alone_until_its_lease_is_over(worker: Worker) -> None:
    [row] = wakeups(step("a"))
    again: list[StepState | None] = []

    def body(_: services.Wake) -> None:
        again.append(worker.run(row))

    services.run_wakeup(row.pk, body=body, clock=worker.clock, lease=LEASE)
    assert again == [None]
    assert worker.seen == []


def test_wakeup_whose_worker_died_is_run_by_another(worker: Worker) -> None:
    row = abandoned(worker)
    worker.wait(LEASE.total_seconds())
    assert worker.run(row) == StepState.DONE
    row.refresh_from_db()
    assert (row.attempts, row.faults) == (2, 1)


def test_worker_that_was_taken_over_writes_nothing(worker: Worker) -> None:
    [row] = wakeups(step("a"))

    def body(_: services.Wake) -> str:
        worker.wait(LEASE.total_seconds() + 1)
        assert worker.run(row) == StepState.DONE
        return "late"

    assert services.run_wakeup(row.pk, body=body, clock=worker.clock, lease=LEASE) is None
    row.refresh_from_db()
    assert row.detail == "done it"


def abandoned(worker: Worker, order_key: str = "") -> Wakeup:
    """A wake-up whose worker was killed while it ran."""
    [row] = wakeups(step("a", order_key=order_key))
    with pytest.raises(KeyboardInterrupt):
        services.run_wakeup(row.pk, body=_killed, clock=worker.clock, lease=LEASE)
    return row


def _killed(_: services.Wake) -> str:
    raise KeyboardInterrupt


def test_wakeup_that_kills_its_worker_each_time_ends_as_failed(worker: Worker) -> None:
    row = abandoned(worker)
    for _ in range(MAX_FAULTS):
        worker.wait(LEASE.total_seconds())
        with pytest.raises(KeyboardInterrupt):
            services.run_wakeup(row.pk, body=_killed, clock=worker.clock, lease=LEASE)
    worker.wait(LEASE.total_seconds())
    assert worker.run(row) == StepState.FAILED
    assert worker.seen == []


def test_steps_of_one_key_run_in_the_order_of_their_entries(worker: Worker, sent: Sent) -> None:
    [first], [second] = wakeups(step("a", order_key="push:1")), wakeups(step("b", order_key="push:1"))
    assert worker.run(second) is None
    assert worker.run(first) == StepState.DONE
    assert sent == [("tests.act", second.pk, "revocation")]
    assert worker.run(second) == StepState.DONE
    assert worker.seen == ["a", "b"]


def test_steps_of_other_keys_do_not_wait(worker: Worker) -> None:
    wakeups(step("a", order_key="push:1"))
    [other], [keyless] = wakeups(step("b", order_key="push:2")), wakeups(step("c"))
    assert worker.run(other) == worker.run(keyless) == StepState.DONE


def test_step_that_waits_holds_back_those_behind_it(worker: Worker, sent: Sent) -> None:
    [first], [second] = wakeups(step("a", order_key="k")), wakeups(step("b", order_key="k"))
    worker.outcome = Unavailable("The broker does not answer.")
    assert worker.run(first) == StepState.PENDING
    assert worker.run(second) is None


def test_step_that_is_tried_again_after_a_fault_lets_those_behind_it_pass(worker: Worker, sent: Sent) -> None:
    [first], [second], [third] = (wakeups(step(name, order_key="k")) for name in "abc")
    worker.outcome = Broken("An account of that name is somebody else's.")
    assert worker.run(first) == StepState.PENDING
    assert sent == [("tests.act", second.pk, "revocation")], "at once, not at the next sweep"
    assert worker.run(third) is None, "it is not behind the first alone"
    worker.outcome = "done it"
    assert worker.run(second) == StepState.DONE
    assert sent[1:] == [("tests.act", third.pk, "revocation")]
    worker.wait(2)
    assert worker.run(first) == StepState.DONE, "it has its turn when its pause is over, whoever waits"
    assert worker.run(third) == StepState.DONE


def test_step_that_is_tried_again_has_its_turn_however_many_come(worker: Worker, sent: Sent) -> None:
    """Who has others thrown out all the time keeps no revocation from being tried again, nor do many that fail."""
    broken = [wakeups(step(name, order_key="k"))[0] for name in "abc"]
    fresh = [wakeups(step(str(number), order_key="k"))[0] for number in range(4)]
    worker.outcome = Broken("A session could not be ended.")
    for each in broken:
        worker.run(each)
    worker.wait(2)
    sent.clear()
    worker.outcome = "done it"
    assert worker.run(fresh[0]) == StepState.DONE
    for tried, following in zip(broken, fresh[1:], strict=True):
        assert sent[-1] == ("tests.act", tried.pk, "revocation")
        assert worker.run(tried) == StepState.DONE
        assert sent[-1] == ("tests.act", following.pk, "revocation")
        assert worker.run(following) == StepState.DONE


def test_those_behind_a_fault_wait_for_each_other_at_a_broker_that_is_away(worker: Worker, sent: Sent) -> None:
    [first], [second], [third] = (wakeups(step(name, order_key="k")) for name in "abc")
    worker.outcome = Broken("An account of that name is somebody else's.")
    worker.run(first)
    worker.outcome = Unavailable("The broker does not answer.")
    assert worker.run(second) == StepState.PENDING
    assert worker.run(third) is None


def test_no_two_of_a_key_run_whoever_passed_whom(worker: Worker, sent: Sent) -> None:
    [first], [second] = wakeups(step("a", order_key="k")), wakeups(step("b", order_key="k"))
    worker.outcome = Broken("An account of that name is somebody else's.")
    worker.run(first)
    seen: list[object] = []

    def body(_: services.Wake) -> None:
        worker.wait(10)
        seen.extend([worker.run(first), services.sweep(now=worker.now)])

    services.run_wakeup(second.pk, body=body, clock=worker.clock, lease=LEASE)
    assert seen == [None, 0]
    assert sent[1:] == [("tests.act", first.pk, "revocation")], "it is told when the other is done"


def test_step_that_passed_and_whose_worker_died_is_run_again(worker: Worker, sent: Sent) -> None:
    [first] = wakeups(step("a", order_key="k"))
    worker.outcome = Broken("An account of that name is somebody else's.")
    worker.run(first)
    second = abandoned(worker, order_key="k")
    worker.outcome = "done it"
    worker.wait(LEASE.total_seconds())
    assert worker.run(first) is None
    assert worker.run(second) == StepState.DONE
    assert worker.run(first) == StepState.DONE


def test_two_of_a_key_that_are_claimed_in_the_same_moment_do_not_both_run(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither sees the other in its snapshot; the database lets one of them."""
    [first], [second] = wakeups(step("a", order_key="k")), wakeups(step("b", order_key="k"))
    Wakeup.objects.filter(pk=first.pk).update(state=StepState.RUNNING)
    monkeypatch.setattr(WakeupQuerySet, "claimable", lambda rows, **_: rows.all())
    assert worker.run(second) is None
    assert worker.seen == []


def test_step_that_failed_for_good_lets_the_next_pass(worker: Worker, sent: Sent) -> None:
    [first], [second] = wakeups(step("a", order_key="k")), wakeups(step("b", order_key="k"))
    fail_for_good(worker, first)
    worker.outcome = "done it"
    assert worker.run(second) == StepState.DONE


def fail_for_good(worker: Worker, row: Wakeup) -> None:
    worker.outcome = Broken("The profile is gone: choose another.")
    for fault in range(1, MAX_FAULTS):
        assert worker.run(row) == StepState.PENDING
        worker.wait(min(2**fault, 300))
    assert worker.run(row) == StepState.FAILED


def test_database_lets_no_two_of_one_key_run() -> None:
    [first], [second] = wakeups(step("a", order_key="k")), wakeups(step("b", order_key="k"))
    Wakeup.objects.filter(pk=first.pk).update(state=StepState.RUNNING)
    with pytest.raises(IntegrityError), transaction.atomic():
        Wakeup.objects.filter(pk=second.pk).update(state=StepState.RUNNING)


def test_deferred_wakeup_is_not_run_before_its_time(worker: Worker) -> None:
    [row] = wakeups(step("a"))
    worker.outcome = services.Defer(until=NOW + timedelta(seconds=10), detail="waits for others")
    assert worker.run(row) == StepState.PENDING
    worker.outcome = "done it"
    worker.wait(9.9)
    assert worker.run(row) is None
    worker.wait(0.1)
    assert worker.run(row) == StepState.DONE
    row.refresh_from_db()
    assert row.faults == 0


def test_broker_that_is_away_for_days_is_asked_for_ever(worker: Worker) -> None:
    [row] = wakeups(step("a"))
    worker.outcome = Unavailable("The broker does not answer.")
    for _ in range(MAX_FAULTS * 3):
        assert worker.run(row) == StepState.PENDING
        worker.wait(2)
    row.refresh_from_db()
    assert (row.faults, row.detail) == (0, "The broker does not answer.")
    worker.outcome = "done it"
    assert worker.run(row) == StepState.DONE


def test_error_is_retried_more_and_more_slowly_and_then_given_up(worker: Worker) -> None:
    [row] = wakeups(step("a"))
    fail_for_good(worker, row)
    row.refresh_from_db()
    assert (row.state, row.detail) == (StepState.FAILED, "The profile is gone: choose another.")
    assert row.finished_at == worker.now


def test_unexpected_error_shows_its_class_and_not_its_text(worker: Worker) -> None:
    [row] = wakeups(step("a"))
    worker.outcome = ValueError("password=hunter2")
    worker.run(row)
    row.refresh_from_db()
    assert row.detail == "ValueError: see the worker's log."


def test_lease_is_renewed_while_the_body_runs(transactional_db: None, worker: Worker, sent: Sent) -> None:
    [row] = wakeups(step("a"))
    first_end = NOW + timedelta(seconds=0.3)

    def body(_: services.Wake) -> str:
        worker.wait(1)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            row.refresh_from_db()
            assert row.lease_until is not None
            if row.lease_until > first_end:
                return "long"
            time.sleep(0.02)
        raise AssertionError("the lease was not renewed")

    assert services.run_wakeup(row.pk, body=body, clock=worker.clock, lease=timedelta(seconds=0.3)) == StepState.DONE


def test_sweep_sends_what_nobody_took_up(sent: Sent) -> None:
    [row] = wakeups(step("a"))
    assert services.sweep(now=NOW + timedelta(seconds=2.9)) == 0
    assert services.sweep(now=NOW + timedelta(seconds=3)) == 1
    assert sent == [("tests.act", row.pk, "revocation")]


def test_sweep_sends_ever_more_slowly_while_workers_are_missing(sent: Sent) -> None:
    wakeups(step("a"))
    times = [second for second in range(200) if services.sweep(now=NOW + timedelta(seconds=second))]
    assert times == [3, 6, 12, 24, 48, 96, 156]


def test_sweep_sends_what_a_dead_worker_held(sent: Sent, worker: Worker) -> None:
    row = abandoned(worker)
    assert services.sweep(now=NOW + LEASE - timedelta(seconds=1)) == 0
    assert services.sweep(now=NOW + LEASE) == 1
    assert sent == [("tests.act", row.pk, "revocation")]


def test_sweep_leaves_what_is_done_held_back_or_waits(sent: Sent, worker: Worker) -> None:
    [done], [waits] = wakeups(step("a")), wakeups(step("b"))
    [first], _ = wakeups(step("c", order_key="k")), wakeups(step("d", order_key="k"))
    worker.run(done)
    worker.outcome = services.Defer(until=NOW + timedelta(hours=1))
    worker.run(waits)
    services.sweep(now=NOW + timedelta(seconds=10))
    assert [wakeup for _, wakeup, _ in sent] == [first.pk]


def test_long_queue_keeps_no_other_one_waiting(sent: Sent) -> None:
    for number in range(5):
        wakeups(step(f"b{number}", queue=Queue.BULK))
    [urgent] = wakeups(step("a", queue=Queue.REVOCATION), now=NOW + timedelta(seconds=1))
    services.sweep(now=NOW + timedelta(seconds=10), limit=2)
    assert ("tests.act", urgent.pk, "revocation") in sent
    assert len(sent) == 3


def test_operation_shows_how_far_each_step_is(worker: Worker) -> None:
    entry = record(steps=[step("ocsp"), step("crl:north")])
    assert _state_of(entry.id) == StepState.PENDING
    first, second = Wakeup.objects.order_by("pk")
    worker.wait(1.5)
    worker.run(first)
    assert _state_of(entry.id) == StepState.RUNNING
    worker.run(second)
    operation = queries.find_operation(operation=entry.id)
    assert operation is not None
    assert operation.state == StepState.DONE
    assert [(found.target, found.elapsed_ms) for found in operation.steps] == [("ocsp", 1500), ("crl:north", 1500)]


def _state_of(operation: EntryId) -> StepState:
    found = queries.find_operation(operation=operation)
    assert found is not None
    return found.state


def test_operation_without_consequences_is_done() -> None:
    assert _state_of(record().id) == StepState.DONE


def test_operation_with_a_step_that_failed_has_failed(worker: Worker) -> None:
    entry = record(steps=[step("a")])
    fail_for_good(worker, Wakeup.objects.get())
    assert _state_of(entry.id) == StepState.FAILED


def test_unknown_operation_is_none() -> None:
    assert queries.find_operation(operation=EntryId(UUID(int=7))) is None
