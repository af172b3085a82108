"""/api/v1/brokers/ as a program sees it, with a real Mosquitto behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brokers import models, queries, services
from brokers.core.values import AccessKind, BrokerEvent
from console.core.roles import EVERY_SCOPE
from devices.services.domains import NameTaken
from kernel.core.clock import utc_now
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.conftest import Hall
from tests.brokers.fleet import PUMP_RULES, Fleet
from tests.brokers.mosquitto import PASSWORD
from tests.servers import free_port

NEW: dict[str, Any] = {
    "name": "hall-9",
    "kind": "mosquitto-dynsec",
    "connection": {"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": PASSWORD},
    "listeners": [{"host": "hall-9.example", "port": 8883, "transport": "mqtts"}],
}


def come(hall: Hall, name: str, *, address: str = "192.0.2.1") -> None:
    came = BrokerEvent(at=utc_now(), kind=AccessKind.CONNECTED, auth_id=name, client_id=name, address=address)
    services.note_events(broker=hall.broker.id, events=[came])


def run_operation(hall: Hall) -> None:
    """What a worker does with the wake-up."""
    services.converge(broker=hall.broker.id, now=utc_now())


def test_registered_broker_is_listed_without_its_connection(api: Api) -> None:
    made = api.post("brokers/", NEW)
    assert made.status_code == 201
    assert made.json()["id"]
    assert made.json()["sync"] == "unknown"
    listed = api.get("brokers/").json()
    assert [row["name"] for row in listed["results"]] == ["hall-9"]
    assert listed["next"] is None
    for answer in (made, api.get("brokers/"), api.get("brokers/hall-9/")):
        assert PASSWORD not in answer.content.decode()
        assert "connection" not in answer.json()


def test_connection_is_not_readable_in_the_database(api: Api) -> None:
    api.post("brokers/", NEW)
    assert PASSWORD.encode() not in bytes(models.Broker.objects.get().connection)


def test_name_is_taken_once_for_all_domains(api: Api, caller: Caller, tmp_path: Path) -> None:
    api.post("brokers/", NEW)
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    again = other.post("brokers/", NEW)
    assert (again.status_code, again.json()["code"]) == (409, "broker-name-taken")


def test_folder_of_a_broker_of_another_domain_is_not_written_to(api: Api, caller: Caller, tmp_path: Path) -> None:
    new = {**NEW, "connection": {**NEW["connection"], "files": {"directory": "hall-9"}}}
    assert api.post("brokers/", new).status_code == 201
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    again = other.post("brokers/", {**new, "name": "hall-10"})
    assert (again.status_code, again.json()["code"]) == (409, "broker-folder-shared")


@pytest.mark.parametrize("part", ["files", "log"])
def test_nobody_reads_the_access_logs_in_the_folder_of_another_domain_s_broker(
    api: Api, caller: Caller, tmp_path: Path, part: str
) -> None:
    new = {"name": "hall-8", "kind": "hivemq-ese-file", "listeners": []}
    folders = {"files": {"directory": "hall-8"}, "log": {"directory": "hall-8-log"}}
    assert api.post("brokers/", new | {"connection": folders}).status_code == 201
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    peeking = {"files": {"directory": "own"}, "log": {"directory": folders[part]["directory"]}}
    again = other.post("brokers/", new | {"name": "peek", "connection": peeking})
    assert (again.status_code, again.json()["code"]) == (409, "broker-folder-shared")
    assert again.json()["errors"][0]["pointer"] == "/connection/log/directory"


def test_no_device_has_the_name_of_the_account_that_controls_a_broker(api: Api, fleet: Fleet) -> None:
    """A broker that takes the name from the certificate would take that device for the control account."""
    account = {**NEW["connection"], "username": "warden"}
    assert api.post("brokers/", {**NEW, "connection": account}).status_code == 201
    with pytest.raises(NameTaken, match="controls a broker"):
        fleet.enroll("warden")


def test_no_broker_is_controlled_by_an_account_with_a_device_s_name(api: Api, fleet: Fleet) -> None:
    fleet.enroll("warden")
    account = {**NEW["connection"], "username": "warden"}
    refused = api.post("brokers/", {**NEW, "connection": account})
    assert (refused.status_code, refused.json()["code"]) == (409, "broker-account-shared")
    assert not models.Broker.objects.exists()


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "Hall 9"}, "/name"),
        ({"name": "-"}, "/name"),
        ({"kind": "kafka"}, "/kind"),
        ({"listeners": [{"host": "x y", "port": 1}]}, "/listeners/0/host"),
        ({"listeners": [{"host": "x", "port": 0}]}, "/listeners/0/port"),
        ({"more": 1}, "/more"),
    ],
)
def test_wrong_member_is_named(api: Api, change: dict[str, Any], pointer: str) -> None:
    answer = api.post("brokers/", {**NEW, **change})
    assert answer.status_code in (400, 422), answer.content
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"host": "broker.example"}, "/connection/ca_pem"),
        ({"host": "127.0.0.1.evil.example"}, "/connection/ca_pem"),
        ({"ca_pem": "nonsense"}, "/connection/ca_pem"),
        ({"port": "1883"}, "/connection/port"),
        ({"username": ""}, "/connection/username"),
        ({"username": "x\r\nflush_all"}, "/connection/username"),
        ({"password": f"{PASSWORD}\n"}, "/connection/password"),
        ({"passwort": "x"}, "/connection/passwort"),
        ({"files": {"directory": "../x"}}, "/connection/files/directory"),
    ],
)
def test_wrong_member_of_a_connection_is_named_and_no_secret_quoted(
    api: Api, change: dict[str, Any], pointer: str
) -> None:
    answer = api.post("brokers/", {**NEW, "connection": {**NEW["connection"], **change}})
    assert answer.status_code in (400, 422), answer.content
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    assert PASSWORD not in answer.content.decode()
    assert not models.Broker.objects.exists()


def test_plan_then_apply(api: Api, hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    plan = api.post("brokers/hall-7/plan/")
    assert plan.status_code == 200, plan.content
    body = plan.json()
    assert body["in_sync"] is False
    assert body["steps"][0].keys() == {"kind", "target", "summary"}
    assert {"device": "p-1", "action": "publish", "filter": "north/p-1/up/#"} in body["effect"]["gain"]
    applied = api.post("brokers/hall-7/apply/", {"plan": body["plan"], "accept_deviations": []})
    assert applied.status_code == 202, applied.content
    operation = api.get(f"operations/{applied.json()['operation']}/").json()
    assert [step["target"] for step in operation["steps"]] == ["broker:hall-7"]
    run_operation(hall)
    assert api.post("brokers/hall-7/plan/").json()["in_sync"] is True
    assert api.get("brokers/hall-7/").json()["sync"] == "in-sync"


def test_plan_of_a_changed_policy_is_stale(api: Api, hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    plan = api.post("brokers/hall-7/plan/").json()["plan"]
    hall.fleet.change_role(PUMP_RULES[0])
    answer = api.post("brokers/hall-7/apply/", {"plan": plan})
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-stale")


def test_unknown_plan_is_not_found(api: Api, hall: Hall) -> None:
    answer = api.post("brokers/hall-7/apply/", {"plan": "01930000-0000-7000-8000-000000000000"})
    assert answer.status_code == 404


def test_broker_that_does_not_answer_is_a_problem_document(api: Api) -> None:
    api.post("brokers/", {**NEW, "connection": {**NEW["connection"], "port": free_port()}})
    answer = api.post("brokers/hall-9/plan/")
    assert (answer.status_code, answer.json()["code"]) == (503, "broker-unreachable")
    assert answer["Content-Type"].startswith("application/problem+json")


def test_drift_names_what_differs(api: Api, hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    assert api.get("brokers/hall-7/drift/").json() == {
        "sync": "in-sync",
        "in_sync": True,
        "count": 0,
        "differences": [],
        "detail": "",
    }
    hall.live.ctrl("deleteClient", "p-1")
    found = api.get("brokers/hall-7/drift/").json()
    assert (found["sync"], found["in_sync"], found["count"]) == ("drift", False, 1)
    assert "p-1" in found["differences"][0]


def test_rendering_is_what_the_broker_should_hold(api: Api, hall: Hall) -> None:
    hall.fleet.enroll("p-1")
    body = api.get("brokers/hall-7/rendering/").json()
    assert "north/p-1/up/#" in body["artifact"]
    assert isinstance(body["deviations"], list)


def test_device_tells_where_it_is_connected(api: Api, hall: Hall) -> None:
    one, two = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    assert api.get(f"devices/{one.id}/sessions/").json() == {"results": []}
    for enrolled in (one, two):
        come(hall, enrolled.device.auth_id, address="192.0.2.7")
    [session] = api.get(f"devices/{one.id}/sessions/").json()["results"]
    assert (session["broker"], session["auth_id"], session["address"]) == ("hall-7", "p-1", "192.0.2.7")


def test_sessions_are_listed_by_page(api: Api, hall: Hall) -> None:
    for name in ("a", "b", "c"):
        come(hall, name)
    first = api.get("brokers/hall-7/sessions/?limit=2").json()
    assert [row["client_id"] for row in first["results"]] == ["a", "b"]
    assert first["approximate_count"] == 3
    rest = api.get(f"brokers/hall-7/sessions/?limit=2&cursor={first['next']}").json()
    assert [row["client_id"] for row in rest["results"]] == ["c"]
    assert rest["next"] is None


def test_removed_broker_is_forgotten(api: Api) -> None:
    api.post("brokers/", NEW)
    assert api.delete("brokers/hall-9/").status_code == 204
    assert api.get("brokers/hall-9/").status_code == 404
    assert api.delete("brokers/hall-9/").status_code == 404


def test_embedded_broker_that_runs_is_not_removed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.post("brokers/", NEW | {"name": "embedded"})
    with monkeypatch.context() as patch:
        patch.setattr(queries, "embedded_pid", lambda: 1)
        answer = api.delete("brokers/embedded/")
        assert (answer.status_code, answer.json()["code"]) == (409, "embedded-runs")
        assert "`manage.py run`" in answer.json()["detail"]
    assert api.delete("brokers/embedded/").status_code == 204


def test_another_domains_broker_is_not_found(api: Api, caller: Caller, tmp_path: Path) -> None:
    api.post("brokers/", NEW)
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    assert other.get("brokers/").json()["results"] == []
    for answer in (
        other.get("brokers/hall-9/"),
        other.get("brokers/hall-9/sessions/"),
        other.get("brokers/hall-9/rendering/"),
        other.get("brokers/hall-9/drift/"),
        other.post("brokers/hall-9/plan/"),
        other.post("brokers/hall-9/apply/", {"plan": "01930000-0000-7000-8000-000000000000"}),
        other.delete("brokers/hall-9/"),
    ):
        assert answer.status_code == 404, answer.content
    assert api.get("brokers/hall-9/").status_code == 200


def test_reading_is_not_writing(fleet: Fleet, caller: Caller) -> None:
    reader = caller(fleet.domain.id, {"brokers:read"})
    assert reader.get("brokers/").status_code == 200
    assert reader.post("brokers/", NEW).status_code == 403
    assert reader.post("brokers/hall-9/apply/", {}).status_code == 403
