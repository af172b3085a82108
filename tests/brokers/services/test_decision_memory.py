"""What is remembered of a principal holds no longer than the windows of its bindings."""

from __future__ import annotations

from datetime import timedelta
from threading import Event, Thread

import pytest

from acl import services as acl
from acl.core.values import Action
from brokers.services.decision_memory import DecisionMemory, DecisionsAlone
from devices import services as devices
from devices.core.windows import Window
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from tests.brokers.fleet import Fleet, allow
from tests.cast import ADA


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
    seconds[0] += 60
    with pytest.raises(DecisionsAlone):
        memory.follow()
    goes_on.set()
    reader.join()
    seconds[0] += 1
    memory.follow()
