"""An explanation tells which roles it left out, since they are given for another time."""

from __future__ import annotations

from datetime import timedelta

from acl import services as acl
from acl.core.values import Action, Publish
from brokers.services import explain_request
from devices import services as devices
from devices.core.windows import Window
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from tests.brokers.fleet import Fleet, allow
from tests.cast import ADA


def test_a_rule_whose_window_is_closed_is_named_and_decides_nothing(fleet: Fleet) -> None:
    one, now, here = fleet.enroll("p-1"), utc_now(), fleet.domain.id
    role = acl.create_role(domain=here, name="shift", rules=[allow(Action.PUBLISH, "shift")], actor=ADA, now=now)
    window = Window(not_before=now + timedelta(hours=1), not_after=now + timedelta(hours=2))
    target = BindingTarget(device=one.id)
    devices.bind_role(domain=here, role=role.id, target=target, window=window, actor=ADA, now=now)
    for hours, reason, named in ((0, "no-rule", True), (1, "allow-rule", False), (2, "no-rule", True)):
        found = explain_request(device=one.id, request=Publish(topic="shift"), now=now + timedelta(hours=hours))
        assert found.reason == reason
        told = [(each.role, each.via, each.target, each.window) for each in found.not_now]
        assert told == ([("shift", "device", "p-1", window)] if named else [])
