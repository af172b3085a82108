"""/api/v1/policy/: why, and who."""

from __future__ import annotations

from pathlib import Path

import pytest

from acl.core.values import Action
from console.core.roles import EVERY_SCOPE
from devices import services as devices
from kernel.core.clock import utc_now
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.conftest import Hall
from tests.brokers.fleet import PUMP_RULES, Fleet, allow, deny
from tests.cast import ADA


def question(device: object, action: str, topic: str, **more: object) -> dict[str, object]:
    return {"device": str(device), "action": action, "topic": topic, **more}


def test_allowed_publish_names_rule_binding_and_broker(api: Api, hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    answer = api.post("policy/explain/", question(one.id, "publish", "north/p-1/up/t", qos=1, retain=False))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["verdict"], body["reason"]) == ("allow", "allow-rule")
    assert body["rule"]["topic"] == "${domain}/${client_id}/up/#"
    assert (body["binding"]["via"], body["binding"]["target"]) == ("device_type", "pump")
    assert [row["filter"] for row in body["considered"] if row["matches"]] == ["north/p-1/up/#"]
    assert body["brokers"] == [{"name": "hall-7", "enforced_as": "allow", "deviation": None}]


def test_refused_publish_has_no_rule(api: Api, hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    body = api.post("policy/explain/", question(one.id, "publish", "north/p-2/up/t")).json()
    assert (body["verdict"], body["reason"], body["rule"], body["binding"]) == ("deny", "no-rule", None, None)
    assert body["brokers"] == [{"name": "hall-7", "enforced_as": "deny", "deviation": None}]


def test_filter_that_meets_a_deny_is_granted_by_mosquitto_and_said_so(api: Api, hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.fleet.change_role(*PUMP_RULES, deny(Action.SUBSCRIBE, "north/all/secret/#"))
    hall.plan_and_apply()
    body = api.post("policy/explain/", question(one.id, "subscribe", "north/all/#")).json()
    assert (body["verdict"], body["reason"]) == ("deny", "deny-rule")
    [judged] = body["brokers"]
    assert judged["enforced_as"] == "allow"
    assert judged["deviation"]["kind"] == "signalling"


def test_suspended_device_is_refused_for_its_state(api: Api, hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    devices.suspend_device(device=one.id, actor=ADA, now=utc_now())
    body = api.post("policy/explain/", question(one.id, "publish", "north/p-1/up/t")).json()
    assert (body["verdict"], body["reason"]) == ("deny", "device-suspended")
    assert body["brokers"][0]["enforced_as"] == "deny"


def test_broker_without_an_applied_plan_enforces_nothing(api: Api, hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    body = api.post("policy/explain/", question(one.id, "publish", "north/p-1/up/t")).json()
    assert body["brokers"][0]["enforced_as"] == "unmanaged"


def test_shared_subscription_is_understood(api: Api, fleet: Fleet) -> None:
    one = fleet.enroll("p-1")
    body = api.post("policy/explain/", question(one.id, "subscribe", "$share/g/north/all/x")).json()
    assert body["verdict"] == "allow"


def test_malformed_topic_is_refused_with_its_reason(api: Api, fleet: Fleet) -> None:
    one = fleet.enroll("p-1")
    body = api.post("policy/explain/", question(one.id, "publish", "a/#")).json()
    assert (body["verdict"], body["reason"]) == ("deny", "malformed-topic")


def test_another_domains_device_is_not_found(fleet: Fleet, caller: Caller, tmp_path: Path) -> None:
    one = fleet.enroll("p-1")
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    assert other.post("policy/explain/", question(one.id, "publish", "x")).status_code == 404


@pytest.mark.parametrize("change", [{"action": "connect"}, {"qos": 3}, {"device": "p-1"}, {"topic": ""}, {"more": 1}])
def test_wrong_question_is_refused(api: Api, fleet: Fleet, change: dict[str, object]) -> None:
    one = fleet.enroll("p-1")
    assert api.post("policy/explain/", {**question(one.id, "publish", "x"), **change}).status_code in (400, 422)


def test_who_can_publish_to_a_name(api: Api, fleet: Fleet) -> None:
    one, _ = fleet.enroll("p-1"), fleet.enroll("p-2")
    body = api.post("policy/who-can/", {"action": "publish", "topic": "north/p-1/up/t"}).json()
    assert body["devices"] == {"approximate_count": 1, "sample": [str(one.id)]}
    assert [(grant["role"], grant["binding"]["via"]) for grant in body["grants"]] == [("pump", "device_type")]


def test_who_can_subscribe_across_devices(api: Api, fleet: Fleet) -> None:
    one, two = fleet.enroll("p-1"), fleet.enroll("p-2")
    asked = {"action": "subscribe", "topic": "north/+/up/#"}
    assert api.post("policy/who-can/", asked).json()["devices"]["approximate_count"] == 0
    fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "north/#"))
    body = api.post("policy/who-can/", asked).json()
    assert set(body["devices"]["sample"]) == {str(one.id), str(two.id)}


def test_who_can_publish_within_a_filter(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    body = api.post("policy/who-can/", {"action": "publish", "topic": "north/+/up/#"}).json()
    assert body["devices"]["approximate_count"] == 1


def test_who_can_stays_in_the_callers_domain(fleet: Fleet, caller: Caller, tmp_path: Path) -> None:
    fleet.enroll("p-1")
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    body = other.post("policy/who-can/", {"action": "publish", "topic": "north/p-1/up/t"}).json()
    assert body["devices"] == {"approximate_count": 0, "sample": []}


def test_malformed_filter_is_refused(api: Api) -> None:
    assert api.post("policy/who-can/", {"action": "subscribe", "topic": "a/#/b"}).status_code in (400, 422)
