"""An applied change on a real Mosquitto: what was foreseen is what happens, in one go for each broker."""

from __future__ import annotations

from acl.core.rules import RuleSpec
from acl.core.values import Action
from brokers.services import foresee_change
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.queries.policy import policy_document
from devices.services import policy_changes
from kernel.core.clock import utc_now
from kernel.core.journal import StepState
from kernel.models import Wakeup
from tests.brokers.conftest import Hall
from tests.brokers.fleet import allow
from tests.brokers.test_tasks import run_all, steps_of
from tests.cast import ADA


def test_broker_follows_a_change_as_foreseen_and_its_rollback(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    run_all()
    domain = hall.fleet.domain.id
    before = policy_document(domain=domain)
    rules: tuple[RuleSpec, ...] = (allow(Action.PUBLISH, "${domain}/new/${client_id}"),)
    after = PolicyDocument.of(
        domain="north",
        roles=[RoleSpec(name="other", rules=rules)],
        bindings=[BindingSpec(role="other", via=BindingVia.DEVICE_TYPE, target="pump")],
    )
    told = foresee_change(domain=domain, before=before, after=after, now=utc_now()).brokers[0].effect
    assert [line.filter for line in told.gain] == ["north/new/p-1"]
    assert {line.filter for line in told.lose} == {"north/p-1/up/#", "north/p-1/down/#", "north/all/#"}

    change = policy_changes.draft_change(domain=domain, title="Other", document=after, actor=ADA, now=utc_now())
    policy_changes.approve_change(change=change.id, actor=ADA, now=utc_now())
    waiting = Wakeup.objects.count()
    applied = policy_changes.apply_change(change=change.id, actor=ADA, now=utc_now())
    assert Wakeup.objects.count() == waiting + 1, "one for the broker, and none for each role and binding"
    run_all()
    assert steps_of(applied.operation) == {"broker:hall-7": StepState.DONE}
    device = hall.device(one)
    assert device.connect()
    assert device.publish("north/new/p-1")
    assert not device.publish("north/p-1/up/t")
    device.close()

    back = policy_changes.roll_back_change(change=change.id, actor=ADA, now=utc_now())
    policy_changes.approve_change(change=back.id, actor=ADA, now=utc_now())
    policy_changes.apply_change(change=back.id, actor=ADA, now=utc_now())
    run_all()
    device = hall.device(one)
    assert device.connect()
    assert device.publish("north/p-1/up/t")
    assert not device.publish("north/new/p-1")
    device.close()
