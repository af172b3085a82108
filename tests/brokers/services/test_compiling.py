"""What is compiled for a broker that nobody writes to says how long it is the policy."""

from __future__ import annotations

from datetime import timedelta

from acl import services as acl
from acl.core.values import Action
from brokers.services import compile_policy
from devices import services as devices
from devices.core.windows import Window
from devices.services.bindings import BindingTarget
from kernel.core.clock import to_rfc3339, utc_now
from tests.brokers.fleet import Fleet, allow
from tests.cast import ADA


def test_it_is_the_policy_until_the_next_window_begins_or_ends(fleet: Fleet) -> None:
    now, here = utc_now(), fleet.domain
    fleet.enroll("p-1")
    role = acl.create_role(domain=here.id, name="shift", rules=[allow(Action.PUBLISH, "shift")], actor=ADA, now=now)
    ends = now + timedelta(hours=1)
    target, window = BindingTarget(domain=here.slug), Window(not_after=ends)
    devices.bind_role(domain=here.id, role=role.id, target=target, window=window, actor=ADA, now=now)
    for asked, holds in ((now, True), (ends, False)):
        found = compile_policy(domain=here.id, target="mosquitto-acl", actor=ADA, now=asked)
        assert ("topic write shift" in found.artifact) is holds
        assert any(to_rfc3339(ends) in warning for warning in found.warnings) is holds
