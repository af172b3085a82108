"""/api/v1/devices/<id>/disconnect/ and /broker-applications/<id>/disconnect/, and the task behind them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from acl.core.values import Principal
from brokers import models, queries
from brokers.core.ports import BrokerUnreachable, Capabilities
from brokers.core.values import BrokerId
from brokers.services import disconnecting
from brokers.tasks import disconnect
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from kernel.core.journal import Queue
from kernel.models import Wakeup
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import Fleet
from tests.cast import ADA

EMQX = {"host": "127.0.0.1", "port": 18083, "api_key": "k", "api_secret": "s"}


def register(fleet: Fleet, name: str, kind: str, connection: dict[str, Any], *, managed: bool = True) -> BrokerId:
    broker = BrokerId(new_id())
    models.Broker.objects.create(
        id=broker,
        domain_id=fleet.domain.id,
        name=name,
        kind=kind,
        connection=queries.sealed_connection(connection, broker=broker),
        created_at=utc_now(),
        managed_since=utc_now() if managed else None,
    )
    return broker


class StandIn:
    """An adapter that says what `told` says: how many sessions it closed."""

    capabilities: ClassVar[Capabilities] = Capabilities(stores_policy=True, protocol_versions=())

    def __init__(self, told: list[int | BrokerUnreachable | None]) -> None:
        self.told = told
        self.asked: list[str] = []

    def disconnect(self, principal: Principal) -> int | None:
        self.asked.append(principal.auth_id)
        found = self.told.pop(0)
        if isinstance(found, BrokerUnreachable):
            raise found
        return found


def test_sessions_end_by_an_operation_and_nothing_else_changes(
    api: Api, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(fleet, "hall-7", "emqx", EMQX)
    device = fleet.enroll("pump-1").id
    path = f"devices/{device}/disconnect/"
    adapter = StandIn([2, 1, -1, None, BrokerUnreachable("It is down.")])
    monkeypatch.setattr(disconnecting, "adapter_for", lambda _link: adapter)
    said = []
    for _ in range(4):
        ordered = api.post(path, {"broker": "hall-7", "note": "It hangs."})
        assert ordered.status_code == 202, ordered.content
        assert api.post(path, {"broker": "hall-7"}).json() == ordered.json(), "one is under way"
        [wakeup] = Wakeup.objects.open().filter(task="brokers.disconnect")
        assert wakeup.queue == Queue.REVOCATION
        disconnect.run(wakeup=wakeup.pk)
        [step] = api.get(f"operations/{ordered.json()['operation']}/").json()["steps"]
        said.append((step["target"], step["state"], step["detail"].partition(";")[0].partition(":")[0]))

    assert said == [
        ("broker:hall-7", "done", "2 sessions closed"),
        ("broker:hall-7", "done", "1 session closed"),
        ("broker:hall-7", "done", "Every session that it had there is closed"),
        ("broker:hall-7", "done", "Gatehouse can not end a session at this broker"),
    ]
    assert adapter.asked == ["pump-1"] * 4
    assert api.get(f"devices/{device}/").json()["state"] == "active"
    api.post(path, {"broker": "hall-7"})
    [wakeup] = Wakeup.objects.open().filter(task="brokers.disconnect")
    disconnect.run(wakeup=wakeup.pk)
    assert Wakeup.objects.open().filter(pk=wakeup.pk).exists(), "it is tried again"


def test_broker_that_can_close_none_says_so(api: Api, fleet: Fleet) -> None:
    """HiveMQ and VerneMQ can by an HTTP API alone; who asks over HTTP, and what reads files, is told nothing."""
    database = {"host": "127.0.0.1", "port": 5432, "username": "gh", "password": "p", "database": "d"}
    register(fleet, "asks", "http-decisions", {"dialect": "emqx"})
    register(fleet, "files", "mosquitto-files", {"files": {"directory": "files"}})
    register(fleet, "verne", "vernemq-postgresql", database)
    able = register(fleet, "emqx", "emqx", EMQX)
    register(fleet, "new", "emqx", EMQX, managed=False)
    device = fleet.enroll("pump-1").id

    answers = {
        name: api.post(f"devices/{device}/disconnect/", {"broker": name}) for name in ("asks", "files", "verne", "new")
    }

    assert {name: (each.status_code, each.json()["code"]) for name, each in answers.items()} == dict.fromkeys(
        answers, (409, "sessions-stay")
    )
    assert "suspend it" in answers["asks"].json()["detail"]
    assert "before a plan was applied" in answers["new"].json()["detail"]
    assert queries.capabilities_of(broker=able).closes_sessions
    assert not Wakeup.objects.filter(task="brokers.disconnect").exists()


def test_only_who_may_suspend_it_disconnects_it(fleet: Fleet, caller: Caller) -> None:
    register(fleet, "hall-7", "emqx", EMQX)
    device = fleet.enroll("pump-1").id
    application = devices.register_application(domain=fleet.domain.id, name="historian", actor=ADA, now=utc_now()).id
    of_device, of_application = f"devices/{device}/disconnect/", f"broker-applications/{application}/disconnect/"
    onboarding, officer = (caller(fleet.domain.id, [scope]) for scope in ("devices:write", "certificates:revoke"))
    body = {"broker": "hall-7"}

    assert onboarding.post(of_application, body).status_code == 403
    assert officer.post(of_device, body).status_code == 403
    assert onboarding.post(f"devices/{application}/disconnect/", body).status_code == 404
    assert officer.post(of_application, {"broker": "hall-8"}).status_code == 404
    assert officer.post(of_application, {}).status_code == 400
    assert not Wakeup.objects.filter(task="brokers.disconnect").exists()
    assert officer.post(of_application, body).status_code == 202
    assert onboarding.post(of_device, body).status_code == 202
