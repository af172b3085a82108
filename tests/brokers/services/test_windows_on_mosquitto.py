"""A role that is given for a time, on a real Mosquitto: what it allows flows in its window alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from acl import services as acl
from acl.core.values import Action
from brokers import services
from devices import services as devices
from devices.core.windows import Window
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.conftest import Hall
from tests.brokers.fleet import allow
from tests.cast import ADA


def told(hall: Hall, now: datetime) -> None:
    """What follows when beat tells that a window began or ended."""
    assert devices.tell_windows(now=now) == 1
    services.converge(broker=hall.broker.id, now=now, seq=list_entries(limit=1)[0].seq)


def checked(hall: Hall, now: datetime) -> None:
    """What a check finds and puts right at once, though nobody has told."""
    services.check_drift(broker=hall.broker.id, now=now)


@pytest.mark.parametrize("follow", [told, checked])
def test_a_window_opens_a_flow_and_closes_it(hall: Hall, follow: Callable[[Hall, datetime], None]) -> None:
    one, now, here = hall.fleet.enroll("p-1"), utc_now(), hall.fleet.domain
    role = acl.create_role(domain=here.id, name="shift", rules=[allow(Action.PUBLISH, "shift")], actor=ADA, now=now)
    begins, ends = now + timedelta(hours=1), now + timedelta(hours=2)
    window, target = Window(not_before=begins, not_after=ends), BindingTarget(domain=here.slug)
    devices.bind_role(domain=here.id, role=role.id, target=target, window=window, actor=ADA, now=now)
    hall.plan_and_apply()
    for moment, holds in ((now, False), (begins, True), (ends, False)):
        if moment != now:
            follow(hall, moment)
        device = hall.device(one)
        assert device.connect(), hall.live.log()
        assert device.publish("shift") is holds
        assert device.publish("north/p-1/up/t")
        device.close()
