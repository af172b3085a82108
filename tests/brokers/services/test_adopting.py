"""A real Mosquitto changed by hand: what is asked about, what is corrected all the same, what becomes policy."""

from __future__ import annotations

from datetime import timedelta

from acl.core.rules import RuleSpec
from acl.core.values import Action
from brokers import services
from brokers.core.values import OnDrift, SyncState
from brokers.services.checking import DRIFT_STANDS
from devices import services as devices
from devices.queries.device_rules import device_rules
from devices.services.policy_changes import apply_change, approve_change
from kernel.core.clock import utc_now
from pki.core.values import ReasonCode
from tests.brokers.conftest import Hall
from tests.brokers.fleet import allow
from tests.cast import ADA

EVERY = "everything/#"


def check(hall: Hall, *, later: timedelta = timedelta(0)) -> SyncState:
    return services.check_drift(broker=hall.broker.id, now=utc_now() + later).sync


def own(hall: Hall, name: str) -> set[RuleSpec]:
    return {RuleSpec.of(rule) for rule in device_rules(domain=hall.fleet.domain.id, name=name).rules}


def test_change_by_hand_waits_for_a_choice_and_can_become_policy(hall: Hall) -> None:
    one, two = (hall.fleet.enroll(name) for name in ("p-1", "p-2"))
    hall.plan_and_apply()
    devices.revoke_device(device=two.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    services.evict(broker=hall.broker.id, device=two.id, now=utc_now())
    assert check(hall) is SyncState.IN_SYNC
    services.choose_on_drift(broker=hall.broker.id, on_drift=OnDrift.ASK, actor=ADA, now=utc_now())
    barred = hall.live.ctrl("getClient", "p-2")

    hall.live.ctrl("createRole", "gh.by-hand")
    hall.live.ctrl("addRoleACL", "gh.by-hand", "publishClientSend", EVERY, "allow", "1")
    for name in ("p-1", "p-2"):
        hall.live.ctrl("addClientRole", name, "gh.by-hand", "9")

    # However long it stands; but who is revoked has it taken away at once.
    assert check(hall, later=3 * DRIFT_STANDS) is SyncState.DRIFT
    assert "gh.by-hand" in hall.live.ctrl("getClient", "p-1")
    assert hall.live.ctrl("getClient", "p-2") == barred
    assert hall.now().unknown_account_count == 0  # the account that Gatehouse has is none

    change, adoption = services.adopt_drift(broker=hall.broker.id, actor=ADA, now=utc_now())
    assert [(each.auth_id, each.filter) for each in adoption.left] == []
    assert own(hall, "p-1") == set()  # nothing is in force yet
    assert check(hall, later=3 * DRIFT_STANDS) is SyncState.DRIFT
    approve_change(change=change.id, actor=ADA, now=utc_now())
    apply_change(change=change.id, actor=ADA, now=utc_now())
    assert own(hall, "p-1") == {allow(Action.PUBLISH, EVERY)}
    services.converge(broker=hall.broker.id, now=utc_now())
    assert check(hall) is SyncState.IN_SYNC
    device = hall.device(one)
    assert device.connect()
    assert device.publish("everything/else")
    device.close()
