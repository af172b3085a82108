"""Drift and accounts that nobody knows, as a program sees them."""

from __future__ import annotations

from typing import Any

import pytest

from brokers import models, queries, services
from brokers.services import adopting, checking, converging
from console.core.roles import EVERY_SCOPE
from kernel.core.clock import utc_now
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.api.test_brokers import NEW
from tests.brokers.fleet import Fleet
from tests.brokers.held_adapter import HeldAdapter


def ask(api: Api, method: str, path: str, body: object) -> Any:
    call = getattr(api.client, method)
    return call(f"/api/v1/brokers/hall-9/{path}/", body, content_type="application/json", headers=api.headers)


@pytest.fixture
def adapter(api: Api, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> HeldAdapter:
    """What is behind hall-9, which holds the policy for p-1."""
    made = HeldAdapter()
    for module in (adopting, checking, converging):
        monkeypatch.setattr(module, "adapter_for", lambda _link: made)
    api.post("brokers/", NEW)
    fleet.enroll("p-1")
    models.Broker.objects.update(managed_since=utc_now())
    services.converge(broker=queries.get_broker(name="hall-9").id, now=utc_now())
    return made


def test_drift_is_asked_about_and_adopted(api: Api, adapter: HeldAdapter) -> None:
    assert api.get("brokers/hall-9/on-drift/").json() == {"on_drift": "correct"}
    assert ask(api, "put", "on-drift", {"on_drift": "ask"}).json() == {"on_drift": "ask"}
    assert api.get("brokers/hall-9/").json()["on_drift"] == "ask"
    assert ask(api, "put", "on-drift", {"on_drift": "perhaps"}).status_code == 400
    nothing = api.post("brokers/hall-9/adoption/")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing-to-adopt")
    adapter.allow("p-1", "everything/#")
    adapter.allow("p-1", "odd/${client_id}")
    rule = {"effect": "allow", "actions": ["publish"], "topic": "everything/#"}
    found = {
        "change": None,
        "adopted": [{"device": "p-1", "auth_id": "p-1", "rules": [rule]}],
        "left": [
            {
                "auth_id": "p-1",
                "action": "publish",
                "filter": "odd/${client_id}",
                "has": True,
                "why": "It would be read as a placeholder.",
            }
        ],
    }
    assert api.get("brokers/hall-9/adoption/").json() == found
    made = api.post("brokers/hall-9/adoption/")
    assert (made.status_code, made.json() | {"change": None}) == (201, found)
    assert api.get(f"policy-changes/{made.json()['change']}/").json()["state"] == "draft"


def test_draft_asks_for_the_right_to_write_policy(fleet: Fleet, api: Api, adapter: HeldAdapter, caller: Caller) -> None:
    del api
    adapter.allow("p-1", "everything/#")
    other = caller(fleet.domain.id, EVERY_SCOPE - {"policy:write"})
    assert other.get("brokers/hall-9/adoption/").status_code == 200
    assert other.post("brokers/hall-9/adoption/").status_code == 403


def test_unknown_accounts_are_told_and_acknowledged(api: Api, adapter: HeldAdapter) -> None:
    del adapter
    models.Broker.objects.update(unknown_accounts={"count": 3, "names": ["guest", "mallory", "x"]})
    assert api.get("brokers/hall-9/").json()["unknown_accounts"] == {"count": 3, "names": ["guest", "mallory", "x"]}
    told = ask(api, "patch", "known-accounts", {"add": ["guest"], "remove": []}).json()
    assert (told["unknown_accounts"]["names"], told["known_accounts"]) == (["mallory", "x"], ["guest"])
    wrong = ask(api, "patch", "known-accounts", {"add": ["x" * 256]})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/add/0")
