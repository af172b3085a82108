"""The screens of changes by axe, in both themes, wide and on a phone: drafts, a conflict, an applied one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.services import change_role
from brokers.models import Broker
from console.models import Operator
from devices.core.policy_changes import PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, RoleSpec
from devices.core.policy_editing import role_of, with_binding, with_role
from devices.core.rollouts import Gate, Split, waves_of
from devices.queries.policy import policy_document
from devices.services.policy_changes import apply_change, approve_change, draft_change
from devices.services.rollouts import start_rollout
from kernel.core.actor import Actor
from tests.cast import ADA, BO
from tests.console.views.scene import Scene
from tests.e2e.browser.test_screens import LOOKS, Look, open_context, visit

pytestmark = pytest.mark.e2e

NO_STOP = RuleSpec(effect=Effect.DENY, actions=frozenset({Action.PUBLISH}), topic="${domain}/${client_id}/up/stop")
ALARMS = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/alarms/#")


def drafted(scene: Scene, title: str, *rules: RuleSpec, by: Actor = ADA) -> PolicyChange:
    """A draft in which device-default has more rules, and pump-01 a role of its own."""
    policy = policy_document(domain=scene.domain)
    role = role_of(policy, "device-default")
    policy = with_role(policy, replace(role, rules=(*role.rules, *rules)), was=role.name)
    if not any(known.name == "watchers" for known in policy.roles):
        policy = with_role(policy, RoleSpec(name="watchers", description="Hear every alarm.", rules=(ALARMS,)))
        policy = with_binding(policy, BindingSpec(role="watchers", via=BindingVia.DEVICE, target="pump-01"))
    return draft_change(domain=scene.domain, title=title, document=policy, actor=by, now=scene.now)


@pytest.fixture
def addresses(north: Scene) -> dict[str, str]:
    """The screens by name."""
    Broker.objects.update(managed_since=north.now)
    applied = drafted(north, "Let pump-01 hear every alarm")
    approve_change(change=applied.id, actor=BO, now=north.now)
    apply_change(change=applied.id, actor=ADA, now=north.now)
    clash = drafted(north, "Nobody stops anybody", NO_STOP)
    rules = [RuleSpec.of(rule) for rule in north.role.rules]
    change_role(role=north.role.id, rules=[*rules, ALARMS], actor=BO, now=north.now)
    draft = drafted(north, "Nobody stops a pump", NO_STOP, by=BO)
    coming = drafted(north, "Nobody stops a pump, one by one", NO_STOP)
    approve_change(change=coming.id, actor=BO, now=north.now)
    rollout = start_rollout(
        change=coming.id, waves=waves_of(Split.PERCENTAGE, [["1"], ["10"]]), gate=Gate(), actor=ADA, now=north.now
    )
    return {
        "changes": "/changes/",
        "changes-none-fits": "/changes/?state=rejected",
        "change-applied": f"/changes/{applied.id}/",
        "change-conflict": f"/changes/{clash.id}/",
        "change-draft": f"/changes/{draft.id}/",
        "change-roles": f"/changes/{draft.id}/roles/",
        "change-role": f"/changes/{draft.id}/roles/device-default/",
        "change-new-role": f"/changes/{draft.id}/new-role/",
        "rollout": f"/changes/rollouts/{rollout.id}/",
        "role-with-draft": f"/roles/{north.role.id}/",
    }


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_screens_of_changes_are_clean(
    look: Look,
    addresses: dict[str, str],
    ada: Operator,
    session_cookie: str,
    chromium: Browser,
    live_server: LiveServer,
) -> None:
    assert ada.is_active
    faults, said = visit(open_context(chromium, look, live_server, session_cookie), live_server, look, addresses)
    assert not faults + said, "\n".join(faults + said)
