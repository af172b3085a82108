"""What is remembered of a principal is what holds for it, and no longer than it does; and what it costs to learn it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from acl import services as acl
from acl.core.values import Action
from brokers.services.decision_learning import Known
from brokers.services.decision_memory import MOST_LEARNING, DecisionMemory, DecisionsAlone
from brokers.services.desired import desired_state_of
from devices import queries
from devices import services as devices
from devices.core.rollouts import Split
from devices.core.windows import Window
from devices.queries import policy_ground
from devices.services.bindings import BindingTarget
from devices.services.device_rules import set_device_rules
from kernel.core.clock import FOR_EVER, utc_now
from kernel.core.ids import DomainId, new_id
from kernel.core.lane import Lane
from pki import queries as pki
from pki import services as pki_services
from pki.core.values import ReasonCode
from tests.brokers.fleet import Enrolled, Fleet, allow, deny
from tests.brokers.services.test_rollouts import start
from tests.cast import ADA

TEN = timedelta(minutes=10)


def who() -> dict[str, Any]:
    return {"actor": ADA, "now": utc_now()}


def a_memory() -> DecisionMemory:
    """One that looks at the journal when it has to, and not because time passes."""
    memory = DecisionMemory(clock=lambda: 1_000.0)
    memory.follow()
    return memory


def give(fleet: Fleet, name: str, target: BindingTarget, *, window: Window | None = None) -> None:
    """A role of that name, which lets publish to a topic of that name, and refuses one below."""
    rules = [allow(Action.PUBLISH, name), deny(Action.PUBLISH, f"{name}/no")]
    role = acl.create_role(domain=fleet.domain.id, name=name, rules=rules, **who())
    devices.bind_role(domain=fleet.domain.id, role=role.id, target=target, window=window or Window(), **who())


def find(memory: DecisionMemory, fleet: Fleet, name: str) -> Known:
    known = memory.find(fleet.domain.id, name, now=utc_now())
    assert known is not None
    return known


def topics(known: Known) -> set[str]:
    return {bound.rule.topic for bound in known.subject.policy}


def all_kinds(fleet: Fleet) -> list[Enrolled]:
    """Devices of one type, in two groups, with roles of their own, and in states in which they may less."""
    made = [fleet.enroll(f"p-{number}") for number in range(9)]
    ids, here = [each.id for each in made], fleet.domain.id
    for name, members in (("hall", ids[:4]), ("roof", ids[2:5])):
        devices.create_group(domain=here, name=name, members=members, **who())
    soon = utc_now() + TEN
    give(fleet, "everywhere", BindingTarget(domain="north"))
    give(fleet, "in-hall", BindingTarget(group="hall"))
    give(fleet, "on-roof", BindingTarget(group="roof"), window=Window(not_after=soon))
    give(fleet, "later", BindingTarget(group="hall"), window=Window(not_before=soon + TEN))
    give(fleet, "own", BindingTarget(device=ids[0]))
    give(fleet, "own-too", BindingTarget(device=ids[4]), window=Window(not_before=soon - TEN / 2))
    role = acl.create_role(domain=here, name="shut-in", rules=[allow(Action.PUBLISH, "help")], **who())
    devices.set_quarantine_role(domain=here, role=role.id, **who())
    devices.quarantine_device(device=ids[5], **who())
    devices.suspend_device(device=ids[6], **who())
    [certificate] = pki.certificates_of(holder=f"device:{ids[7]}")
    pki_services.hold_certificate(certificate=certificate.id, **who())
    devices.revoke_device(device=ids[8], reason=ReasonCode.KEY_COMPROMISE, **who())
    return made


def test_what_is_learnt_one_by_one_or_together_is_what_brokers_with_tables_are_given(fleet: Fleet) -> None:
    made, here = all_kinds(fleet), fleet.domain.id
    names, one_by_one, together = [each.device.auth_id for each in made], a_memory(), a_memory()
    learnt = together._learn(here, None, [*names, "nobody"], now=utc_now())
    assert set(learnt) == set(names)
    for each in made:
        [expected] = desired_state_of(device=each.id, broker=None, now=utc_now()).subjects
        until = queries.next_boundary(device=each.id, now=utc_now()) or FOR_EVER
        for known in (find(one_by_one, fleet, each.device.auth_id), learnt[each.device.auth_id]):
            assert known.device == each.id
            assert known.subject == expected
            assert known.until == (until if expected.policy and each is not made[5] else FOR_EVER)
    application = devices.register_application(domain=here, name="desk", **who())
    [expected] = desired_state_of(device=application.id, broker=None, now=utc_now()).subjects
    assert find(one_by_one, fleet, "desk").subject == expected


def test_one_more_of_a_domain_costs_three_statements_and_many_more_cost_no_more(
    fleet: Fleet, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    memory = a_memory()
    for name in ("p-1", "p-2", "p-3", "p-4"):
        fleet.enroll(name)
    memory.follow(older_than=0)
    find(memory, fleet, "p-1")
    with django_assert_num_queries(3):
        find(memory, fleet, "p-2")
    with django_assert_num_queries(3):
        memory._learn(fleet.domain.id, None, ["p-3", "p-4"], now=utc_now())


def test_whoever_was_asked_about_is_learnt_again_after_a_change_of_all_before_it_asks(
    fleet: Fleet, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    names, memory = [f"p-{number}" for number in range(5)], a_memory()
    for name in names:
        fleet.enroll(name)
    memory.follow(older_than=0)
    for name in names:
        memory.judged(find(memory, fleet, name))
    find(memory, fleet, names[0])
    fleet.change_role(allow(Action.PUBLISH, "first"))
    memory.follow(older_than=0)
    with CaptureQueriesContext(connection) as asked:
        memory.learn_anew(now=utc_now())
    assert len(asked) < 15, [each["sql"] for each in asked]
    with django_assert_num_queries(0):
        memory.learn_anew(now=utc_now())
        for name in names[:3]:
            memory.judged(find(memory, fleet, name))
    assert topics(find(memory, fleet, names[0])) == {"first"}
    fleet.change_role(allow(Action.PUBLISH, "second"))
    memory.follow(older_than=0)
    memory.learn_anew(now=utc_now())
    with django_assert_num_queries(0):
        assert all(topics(find(memory, fleet, name)) == {"second"} for name in names[:3])
    with django_assert_num_queries(3):  # nobody asked about it since the first change
        find(memory, fleet, names[4])


def test_nobody_is_judged_by_new_groups_and_old_rules(fleet: Fleet) -> None:
    one, here, memory = fleet.enroll("p-1"), fleet.domain.id, a_memory()
    fleet.enroll("p-2")
    group = devices.create_group(domain=here, name="locked", members=[one.id], **who())
    locked = acl.create_role(domain=here, name="locked", rules=[deny(Action.PUBLISH, "#")], **who())
    devices.bind_role(domain=here, role=locked.id, target=BindingTarget(group="locked"), **who())
    memory.follow(older_than=0)
    find(memory, fleet, "p-2")
    with transaction.atomic():
        devices.remove_from_group(group=group, devices=[one.id], **who())
        fleet.change_role(allow(Action.PUBLISH, "little"))
    assert topics(find(memory, fleet, "p-1")) == {"little"}  # no look at the journal was due


def test_rules_that_one_device_has_alone_concern_nobody_else(
    fleet: Fleet, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    one, memory = fleet.enroll("p-1"), a_memory()
    fleet.enroll("p-2")
    all_pumps = topics(find(memory, fleet, "p-1")) | topics(find(memory, fleet, "p-2"))
    for topic in ("first", "second", None):
        rules = [allow(Action.PUBLISH, topic)] if topic else []
        set_device_rules(device=one.id, rules=rules, **who())
        memory.follow(older_than=0)
        with django_assert_num_queries(0):
            assert topics(find(memory, fleet, "p-2")) == all_pumps
        assert topics(find(memory, fleet, "p-1")) == all_pumps | ({topic} if topic else set())


def test_nobody_is_judged_by_new_groups_and_old_rules_of_its_own(fleet: Fleet) -> None:
    one, here, memory = fleet.enroll("p-1"), fleet.domain.id, a_memory()
    fleet.change_role()
    group = devices.create_group(domain=here, name="locked", members=[one.id], **who())
    give(fleet, "locked", BindingTarget(group="locked"))
    set_device_rules(device=one.id, rules=[allow(Action.PUBLISH, "old")], **who())
    memory.follow(older_than=0)
    assert topics(find(memory, fleet, "p-1")) == {"locked", "locked/no", "old"}
    with transaction.atomic():
        devices.remove_from_group(group=group, devices=[one.id], **who())
        set_device_rules(device=one.id, rules=[allow(Action.PUBLISH, "little")], **who())
    memory.follow(older_than=0)
    assert topics(find(memory, fleet, "p-1")) == {"little"}


def test_own_rules_that_change_between_two_statements_are_read_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, memory = fleet.enroll("p-1"), a_memory()
    fleet.change_role()
    group = devices.create_group(domain=fleet.domain.id, name="locked", members=[one.id], **who())
    give(fleet, "locked", BindingTarget(group="locked"))
    set_device_rules(device=one.id, rules=[allow(Action.PUBLISH, "old")], **who())
    bound, changes = policy_ground._bound_to, [True]

    def then_change(*args: Any) -> Any:
        """What it has alone was read, and then all of it is changed before what else it has is."""
        found = list(bound(*args))
        if changes and changes.pop():
            devices.remove_from_group(group=group, devices=[one.id], **who())
            set_device_rules(device=one.id, rules=[allow(Action.PUBLISH, "little")], **who())
        return found

    monkeypatch.setattr(policy_ground, "_bound_to", then_change)
    assert topics(find(memory, fleet, "p-1")) == {"little"}


def test_who_is_not_known_is_not_learnt_while_the_journal_can_not_be_read(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = a_memory()
    fleet.enroll("p-1")
    monkeypatch.setattr("brokers.services.decision_memory.LEARNING_SECONDS", 0.001)
    with memory._reading, pytest.raises(DecisionsAlone):  # another thread reads it, and does not come back
        find(memory, fleet, "p-1")
    assert topics(find(memory, fleet, "p-1"))


def test_database_that_hangs_leaves_threads_for_those_who_are_known(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, memory = fleet.enroll("p-1"), a_memory()
    assert topics(find(memory, fleet, "p-1"))
    here, answers, goes_on = fleet.domain.id, list[object](), Event()

    def learn(*_: Any, **__: Any) -> dict[str, Known]:
        assert goes_on.wait(60)
        return {}

    def ask(name: str) -> None:
        try:
            answers.append(memory.find(here, name, now=utc_now()))
        except DecisionsAlone as error:
            answers.append(error)

    monkeypatch.setattr(memory, "_learn", learn)
    threads = [Thread(target=ask, args=[f"stranger-{number}"]) for number in range(20)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while len(answers) < len(threads) - MOST_LEARNING and time.monotonic() - began < 10:
        time.sleep(0.01)
    for _ in range(100):  # none of them waits as long again
        ask("stranger")
    assert time.monotonic() - began < 4
    assert all(isinstance(each, DecisionsAlone) for each in answers)
    assert find(memory, fleet, known.device.auth_id)
    goes_on.set()
    for thread in threads:
        thread.join()
    ask("stranger")
    assert answers[-MOST_LEARNING - 1 :] == [None] * (MOST_LEARNING + 1)


def test_strangers_who_keep_knocking_keep_nobody_from_being_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database answers, all threads that a process has get their turn, however many ask at once."""
    monkeypatch.setattr("brokers.services.decision_memory.HANGS_SECONDS", 1.0)
    memory, domain, ends_at = DecisionMemory(), DomainId(new_id()), time.monotonic() + 4
    refused, longest = list[DecisionsAlone](), list[float]()

    def learn(*_: Any, **__: Any) -> dict[str, Known]:
        time.sleep(0.002)
        return {}

    def knock(thread: int) -> None:
        number = 0
        while (began := time.monotonic()) < ends_at:
            number += 1
            try:
                assert memory.find(domain, f"stranger-{thread}-{number}", now=utc_now()) is None
            except DecisionsAlone as error:
                refused.append(error)
            longest.append(time.monotonic() - began)

    monkeypatch.setattr(memory, "_learn", learn)
    threads = [Thread(target=knock, args=(thread,)) for thread in range(MOST_LEARNING + 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    assert max(longest) < 2


def test_a_change_that_comes_in_waves_is_learnt_of_those_to_whom_it_has_come(fleet: Fleet) -> None:
    one, two, memory = fleet.enroll("p-1"), fleet.enroll("p-2"), a_memory()
    devices.create_group(domain=fleet.domain.id, name="pilot", members=[one.id], **who())
    memory.follow(older_than=0)
    find(memory, fleet, "p-2")
    start(fleet, Split.GROUP, ["pilot"])
    memory.follow(older_than=0)
    for each, brings in ((one, True), (two, False)):
        known = find(memory, fleet, each.device.auth_id)
        assert [known.subject] == [*desired_state_of(device=each.id, broker=None, now=utc_now()).subjects]
        assert ("${domain}/new/${client_id}" in topics(known)) is brings


def test_a_window_that_begins_and_ends_is_seen_though_nobody_tells(fleet: Fleet) -> None:
    one, now = fleet.enroll("p-1"), utc_now()
    here = fleet.domain.id
    role = acl.create_role(domain=here, name="shift", rules=[allow(Action.PUBLISH, "shift")], actor=ADA, now=now)
    begins, ends = now + timedelta(minutes=10), now + timedelta(minutes=20)
    window, target = Window(not_before=begins, not_after=ends), BindingTarget(device=one.id)
    devices.bind_role(domain=here, role=role.id, target=target, window=window, actor=ADA, now=now)
    memory = DecisionMemory()
    memory.follow()
    for asked, holds in ((now, False), (begins, True), (ends - timedelta(microseconds=1), True), (ends, False)):
        known = memory.find(here, "p-1", now=asked)
        assert known is not None
        assert ("shift" in {bound.rule.topic for bound in memory.judged(known).subject.policy}) is holds, asked


def test_a_database_that_hangs_holds_nobody_up_until_nothing_is_known_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, hangs, goes_on = [1_000.0], Event(), Event()

    def journal_end() -> int:
        if hangs.is_set():
            hangs.clear()
            assert goes_on.wait(60)
        return 7

    monkeypatch.setattr("kernel.queries.journal_end", journal_end)
    monkeypatch.setattr("brokers.services.decision_memory.reconnecting", lambda read: read())
    lane = Lane()
    monkeypatch.setattr("brokers.services.decision_memory.lane", lane)
    memory = DecisionMemory(clock=lambda: seconds[0])
    memory.follow()
    hangs.set()
    seconds[0] += 1

    def read() -> None:
        with pytest.raises(DecisionsAlone):  # what it learns at last is too old as well
            memory.follow()

    reader = Thread(target=read)
    reader.start()
    while hangs.is_set():
        reader.join(0.01)
    for _ in range(2_000):  # each would wait a quarter of a second
        seconds[0] += 0.01
        memory.follow()
    lane.keep()
    memory.follow()
    with ThreadPoolExecutor(1) as other:
        assert not other.submit(lane.keep).result()  # nobody is woken at each answer
    seconds[0] += 60
    with pytest.raises(DecisionsAlone):
        memory.follow()
    goes_on.set()
    reader.join()
    seconds[0] += 1
    memory.follow()
