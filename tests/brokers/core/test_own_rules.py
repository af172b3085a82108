"""A device's own rules, whatever the device is called, hold at every broker for it and for no other."""

from __future__ import annotations

import pytest

from acl.core.own_rules import own_role_name
from acl.core.values import Publish
from brokers.core.ports import RenderSubject
from brokers.core.targets import TARGETS, Target
from tests.brokers.subjects import PUBLISH, rule, subject

NAMES = ("pump", "pump.deny", "pump 17", "pu\"mp's\\", "泵", "@pump", "..", "{role}", "%u", "&a;<b>", "*", "a,b:c")
COMMON = rule("allow", PUBLISH, "all/x")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_own_rules_are_compiled_for_their_device_alone(target: Target) -> None:
    subjects = [
        subject(
            name,
            COMMON,
            rule("allow", PUBLISH, f"own/{number}", role=own_role_name(name)),
            rule("allow", PUBLISH, f"barred/{number}", role=own_role_name(name)),
            rule("deny", PUBLISH, f"barred/{number}", role=own_role_name(name)),
        )
        for number, name in enumerate(NAMES)
    ]
    rendering = target.render(subjects)
    state = target.parse(rendering.artifact)
    assert target.write(state) == rendering.artifact
    without_account = {name for each in rendering.deviations for name in each.principals}
    for one in subjects:
        name = one.principal.auth_id
        found = [_may(target, state, one, f"own/{number}") for number in range(len(NAMES))]
        assert found == [name == each for each in NAMES] or (not any(found) and name in without_account), name
        assert not any(_may(target, state, one, f"barred/{number}") for number in range(len(NAMES))), name


def _may(target: Target, state: object, subject: RenderSubject, topic: str) -> bool:
    return target.emulate(state, subject.principal, Publish(topic=topic))
