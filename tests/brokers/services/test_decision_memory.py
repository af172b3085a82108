"""What is remembered of a principal holds no longer than the windows of its bindings."""

from __future__ import annotations

from datetime import timedelta

from acl import services as acl
from acl.core.values import Action
from brokers.services.decision_memory import DecisionMemory
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
