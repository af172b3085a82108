"""A broker that somebody changed by hand: what waits for a choice, what never does, and what becomes policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from acl.core.values import Action
from brokers import models, queries, services
from brokers.core.plans import policy_digest
from brokers.core.ports import AppliedState
from brokers.core.values import BrokerId, OnDrift, SyncState
from brokers.services import adopting, checking, converging, planning, shut_out
from brokers.services.adopting import NothingToAdopt, PolicyMoved
from brokers.services.by_hand_findings import ByHandFindings
from brokers.services.checking import DRIFT_STANDS
from devices import services as devices
from devices.core.values import DeviceId
from devices.queries import list_devices
from devices.services.policy_changes import apply_change, approve_change
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.fleet import PUMP_RULES, Fleet, allow, deny
from tests.brokers.held_adapter import HeldAdapter
from tests.cast import ADA

EVERY = "everything/#"


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> HeldAdapter:
    made = HeldAdapter()
    for module in (adopting, checking, converging, planning):
        monkeypatch.setattr(module, "adapter_for", lambda _link: made)
    return made


@pytest.fixture
def broker(fleet: Fleet, asking_broker: BrokerId, adapter: HeldAdapter) -> BrokerId:
    """It holds the policy for p-1 and p-2, and asks about changes made by hand."""
    del adapter
    for name in ("p-1", "p-2"):
        fleet.enroll(name)
    models.Broker.objects.update(managed_since=utc_now())
    services.converge(broker=asking_broker, now=utc_now())
    services.choose_on_drift(broker=asking_broker, on_drift=OnDrift.ASK, **who())
    return asking_broker


def who() -> dict[str, Any]:
    return {"actor": ADA, "now": utc_now()}


def check(broker: BrokerId) -> SyncState:
    """What a check finds long after whatever happened."""
    return services.check_drift(broker=broker, now=utc_now() + 3 * DRIFT_STANDS).sync


def rules_held(adapter: HeldAdapter, name: str) -> set[str]:
    return {role for role, _ in adapter.held.clients[name].roles if role.startswith("gh.hand")}


def test_change_by_hand_stands_until_somebody_corrects_it(broker: BrokerId, adapter: HeldAdapter) -> None:
    adapter.allow("p-1", EVERY)
    assert [check(broker), check(broker)] == [SyncState.DRIFT] * 2
    assert rules_held(adapter, "p-1")
    assert [each.code for each in ByHandFindings().find(domains=None, now=utc_now())] == ["broker-changed-by-hand"]
    plan = services.plan_broker(broker=broker, **who())
    assert plan.lose == ({"device": "p-1", "action": "publish", "filter": EVERY},)
    services.apply_plan(broker=broker, plan=plan.id, accept_deviations=(), **who())
    services.converge(broker=broker, now=utc_now())
    assert (check(broker), rules_held(adapter, "p-1")) == (SyncState.IN_SYNC, set())
    assert list(ByHandFindings().find(domains=None, now=utc_now())) == []


def test_outage_does_not_hide_a_change_by_hand_and_a_lost_state_comes_back(
    broker: BrokerId, adapter: HeldAdapter
) -> None:
    adapter.allow("p-1", EVERY)
    models.Broker.objects.update(sync=SyncState.UNREACHABLE)
    assert check(broker) is SyncState.DRIFT
    adapter.held = HeldAdapter().held
    assert check(broker) is SyncState.IN_SYNC
    assert adapter.held.clients.keys() == {"p-1", "p-2"}
    models.Broker.objects.update(sync=SyncState.UNREACHABLE, converged_seq=0)
    assert check(broker) is SyncState.IN_SYNC  # and what was missed meanwhile counts as done
    assert queries.get_broker(id=broker).converged_seq > 0


@pytest.mark.parametrize("sync", [SyncState.IN_SYNC, SyncState.DRIFT, SyncState.UNREACHABLE])
def test_newer_code_that_writes_the_policy_otherwise_corrects_nobody_unasked(
    fleet: Fleet, broker: BrokerId, adapter: HeldAdapter, monkeypatch: pytest.MonkeyPatch, sync: SyncState
) -> None:
    devices.quarantine_device(device=devices_named(fleet)["p-2"], note="", **who())
    services.converge(broker=broker, now=utc_now())
    held = adapter.held.clients["p-2"]
    adapter.allow("p-1", EVERY)
    if sync is SyncState.DRIFT:
        assert check(broker) is sync
    adapter.allow("p-2", EVERY)
    models.Broker.objects.update(sync=sync)
    render = adapter.render
    monkeypatch.setattr(
        adapter, "render", lambda desired: replace(render(desired), artifact=f"# 2\n{render(desired).artifact}")
    )
    fleet.change_role(*reversed(PUMP_RULES))  # other rules, by which nobody may anything else
    digests = Mock(wraps=policy_digest)
    monkeypatch.setattr(checking, "policy_digest", digests)
    for _ in range(2):
        digests.reset_mock()
        assert check(broker) is SyncState.DRIFT
        assert digests.call_count <= 2, "one for each comparison, and it compares again once something was corrected"
        assert rules_held(adapter, "p-1")
        assert adapter.held.clients["p-2"] == held
    assert "written in another way" in queries.get_broker(id=broker).detail
    fleet.change_role(*PUMP_RULES[:2])
    assert (check(broker), rules_held(adapter, "p-1")) == (SyncState.IN_SYNC, set())


def test_choice_to_be_asked_outlasts_newer_code_even_if_it_came_after_the_change(
    broker: BrokerId, adapter: HeldAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.choose_on_drift(broker=broker, on_drift=OnDrift.CORRECT, **who())
    adapter.allow("p-1", EVERY)
    assert services.check_drift(broker=broker, now=utc_now()).sync is SyncState.DRIFT
    services.choose_on_drift(broker=broker, on_drift=OnDrift.ASK, **who())
    assert check(broker) is SyncState.DRIFT
    render = adapter.render
    monkeypatch.setattr(adapter, "render", lambda desired: replace(render(desired), artifact="{}"))
    assert check(broker) is SyncState.DRIFT
    assert rules_held(adapter, "p-1")


@pytest.mark.parametrize("state", ["suspended", "quarantined"])
@pytest.mark.parametrize("choice", OnDrift)
def test_who_is_shut_out_never_keeps_what_somebody_gave_it(
    fleet: Fleet, broker: BrokerId, adapter: HeldAdapter, choice: OnDrift, state: str
) -> None:
    services.choose_on_drift(broker=broker, on_drift=choice, **who())
    out = devices_named(fleet)["p-2"]
    change = devices.suspend_device if state == "suspended" else devices.quarantine_device
    change(device=out, note="", **who())
    services.converge(broker=broker, now=utc_now())
    assert check(broker) is SyncState.IN_SYNC
    held = adapter.held.clients.get("p-2")
    for name in ("p-1", "p-2"):
        if name in adapter.held.clients:
            adapter.allow(name, EVERY)
    if choice is OnDrift.ASK:  # else all is put right at once then
        models.Broker.objects.update(desired_digest="")  # as an eviction leaves it
    assert check(broker) is SyncState.DRIFT
    assert rules_held(adapter, "p-1")
    assert adapter.held.clients.get("p-2") == held


def test_check_reads_none_of_the_shut_out_while_nothing_has_changed(
    fleet: Fleet, broker: BrokerId, adapter: HeldAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shut_out, "_AT_ONCE", 1)
    for name in ("r-1", "r-2", "r-3"):
        out = fleet.enroll(name)
        devices.suspend_device(device=out.id, note="", **who())
    services.converge(broker=broker, now=utc_now())
    adapter.allow("p-1", EVERY)
    begin = utc_now().replace(minute=10) + timedelta(hours=1)

    def reads(*, minutes: int) -> list[frozenset[str]]:
        """Those of single devices, by a check so long after."""
        adapter.asked.clear()
        found = services.check_drift(broker=broker, now=begin + timedelta(minutes=minutes))
        assert found.sync is SyncState.DRIFT
        return [only for only in adapter.asked if only is not None]

    every = [frozenset({name}) for name in ("r-1", "r-2", "r-3")]
    assert [reads(minutes=minute) for minute in range(3)] == [every, [], []]
    adapter.allow("r-2", EVERY)
    assert len(reads(minutes=3)) > len(every)
    assert rules_held(adapter, "r-2") == set()
    assert [reads(minutes=minute) for minute in (4, 5)] == [every, []]
    devices.quarantine_device(device=devices_named(fleet)["p-2"], note="", **who())
    models.Broker.objects.update(desired_digest="")  # as an eviction leaves it
    assert frozenset({"p-2"}) in reads(minutes=6)
    assert [bool(reads(minutes=minute)) for minute in (7, 8, 60, 61)] == [True, False, True, False]
    adapter.foreign = frozenset({"r-3", "somebody"})  # an account of that name, made by hand
    assert [bool(reads(minutes=minute)) for minute in (62, 63)] == [True, False]


def test_who_is_not_admitted_yet_gets_no_account_by_hand(fleet: Fleet, broker: BrokerId, adapter: HeldAdapter) -> None:
    devices.register_device(domain=fleet.domain.id, name="p-3", device_type="pump", **who())
    ours = {"p-3": replace(adapter.held.clients["p-1"], username="p-3", mark="gh.")}
    adapter.held = replace(adapter.held, clients={**adapter.held.clients, **ours})
    adapter.allow("p-1", EVERY)
    assert check(broker) is SyncState.DRIFT
    assert adapter.held.clients.keys() == {"p-1", "p-2"}
    assert rules_held(adapter, "p-1")


def test_differences_become_rules_of_their_devices_when_they_are_approved(
    fleet: Fleet, broker: BrokerId, adapter: HeldAdapter
) -> None:
    adapter.allow("p-1", EVERY)
    change, adoption = services.adopt_drift(broker=broker, **who())
    assert adoption.left == ()
    assert {(role.name, role.rules) for role in change.document.roles} - {
        (role.name, role.rules) for role in change.base.roles
    } == {("@p-1", (allow(Action.PUBLISH, EVERY),))}
    assert list_entries(limit=1)[0].action == "brokers.drift.adopted"
    assert check(broker) is SyncState.DRIFT  # a draft is no policy
    approve_change(change=change.id, **who())
    apply_change(change=change.id, **who())
    services.converge(broker=broker, now=utc_now())
    assert check(broker) is SyncState.IN_SYNC
    assert services.adoption_of(broker=broker, now=utc_now()).rules == ()


def test_draft_takes_back_nothing_that_somebody_changed_meanwhile(
    fleet: Fleet, broker: BrokerId, adapter: HeldAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter.allow("p-1", EVERY)
    read = adapter.read

    def meanwhile(*, only: frozenset[str] | None = None) -> AppliedState:
        fleet.change_role(*PUMP_RULES, allow(Action.PUBLISH, "news/#"))
        return read(only=only)

    monkeypatch.setattr(adapter, "read", meanwhile)
    with pytest.raises(PolicyMoved):
        services.adopt_drift(broker=broker, **who())


def test_taken_right_becomes_a_deny_of_each_device(fleet: Fleet, broker: BrokerId, adapter: HeldAdapter) -> None:
    adapter.forbid("p-1", "north/all/#")  # in the role of all pumps
    found = services.adoption_of(broker=broker, now=utc_now())
    assert [(one.name, one.rules) for one in found.rules] == [
        (name, (deny(Action.SUBSCRIBE, "north/all/#"),)) for name in ("p-1", "p-2")
    ]
    assert found.left == ()


def test_what_rules_can_not_say_stays_to_be_corrected(fleet: Fleet, broker: BrokerId, adapter: HeldAdapter) -> None:
    fleet.change_role(*PUMP_RULES, deny(Action.PUBLISH, "everything/secret"))
    services.converge(broker=broker, now=utc_now())
    adapter.allow("p-1", "everything/secret")
    adapter.allow("p-1", "odd/${client_id}")
    devices.suspend_device(device=devices_named(fleet)["p-2"], note="", **who())
    adapter.allow("p-2", EVERY)
    found = services.adoption_of(broker=broker, now=utc_now())
    assert found.rules == ()
    told = {(each.auth_id, each.filter): each.why for each in found.left if each.has}
    assert "placeholder" in told["p-1", "odd/${client_id}"]
    assert "suspended" in told["p-2", EVERY]
    with pytest.raises(NothingToAdopt):
        services.adopt_drift(broker=broker, **who())


def test_names_and_topics_that_nothing_can_keep_break_no_check(broker: BrokerId, adapter: HeldAdapter) -> None:
    adapter.held = replace(adapter.held, roles={"gh.\ud800\0": frozenset(), **adapter.held.roles})
    assert check(broker) is SyncState.DRIFT
    assert "gh.?\ufffd" in queries.get_broker(id=broker).detail
    adapter.allow("p-1", "odd/\ud800")
    [left] = services.adoption_of(broker=broker, now=utc_now()).left
    assert left.filter == "odd/?"


def devices_named(fleet: Fleet) -> dict[str, DeviceId]:
    page = list_devices(domains=[fleet.domain.id])
    return {device.name: device.id for device in page.devices}
