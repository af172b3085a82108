"""A broker that somebody changed by hand, on its page: what is unknown there, what is asked, and adopting it."""

from __future__ import annotations

import pytest
from django.test import Client

from brokers import models, queries, services
from brokers.services import adopting, checking, converging
from devices.queries.policy_changes import list_changes
from kernel.core.clock import utc_now
from tests.brokers.held_adapter import HeldAdapter
from tests.console.views.scene import Scene


@pytest.fixture
def adapter(north: Scene, monkeypatch: pytest.MonkeyPatch) -> HeldAdapter:
    """What is behind the broker of north: it holds the policy, and a right that pump-01 should not have."""
    made = HeldAdapter()
    for module in (adopting, checking, converging):
        monkeypatch.setattr(module, "adapter_for", lambda _link: made)
    models.Broker.objects.filter(id=north.broker.id).update(managed_since=north.now)
    services.converge(broker=north.broker.id, now=utc_now())
    made.allow("pump-01", "<b>odd</b>/#")
    return made


def test_broker_that_holds_the_policy_differs_in_nothing(north: Scene, adapter: HeldAdapter, at_bo: Client) -> None:
    adapter.apply((), between=lambda: None)  # the change by hand is gone
    assert "It holds exactly the policy." in page(at_bo, f"/brokers/{north.broker.name}/differences/")


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_drift_is_asked_about_and_adopted_as_a_draft(north: Scene, adapter: HeldAdapter, at_ada: Client) -> None:
    del adapter
    home = f"/brokers/{north.broker.name}/"
    assert at_ada.post(f"{home}on-drift/", {"on_drift": "ask"}).status_code == 302
    assert queries.get_broker(id=north.broker.id).on_drift == "ask"
    services.check_drift(broker=north.broker.id, now=utc_now())
    told = page(at_ada, home)
    assert "stays until you choose" in told
    assert f"{home}adoption/" in told
    assert f'hx-get="{home}differences/" hx-trigger="load"' in told
    differences = page(at_ada, f"{home}differences/")
    assert "What would be changed" in differences
    assert "pump-01" in differences
    shown = page(at_ada, f"{home}adoption/")
    assert "&lt;b&gt;odd" in shown
    assert "<b>odd" not in shown
    assert list_changes(domains=[north.domain]) == []  # a look drafts nothing
    made = at_ada.post(f"{home}adoption/draft/")
    [change] = list_changes(domains=[north.domain])
    assert made.headers["Location"] == f"/changes/{change.id}/"
    assert "&lt;b&gt;odd" in page(at_ada, f"/changes/{change.id}/")


def test_who_may_only_read_changes_nothing(north: Scene, adapter: HeldAdapter, at_bo: Client, at_cy: Client) -> None:
    del adapter
    home = f"/brokers/{north.broker.name}/"
    for client, status in ((at_bo, 403), (at_cy, 404)):
        for path in ("on-drift/", "adoption/draft/", "accounts/"):
            assert client.post(home + path, {"on_drift": "ask", "account": "x", "known": "1"}).status_code == status
    assert "Make the draft" not in page(at_bo, f"{home}adoption/")
    assert at_cy.get(f"{home}adoption/").status_code == 404
    found = queries.get_broker(id=north.broker.id)
    assert (found.on_drift, found.known_accounts, list_changes(domains=[north.domain])) == ("correct", (), [])


def test_broker_that_does_not_answer_is_told_where_it_would_be_adopted(north: Scene, at_ada: Client) -> None:
    models.Broker.objects.filter(id=north.broker.id).update(managed_since=north.now)
    assert 'role="alert"' in page(at_ada, f"/brokers/{north.broker.name}/adoption/")


def test_unknown_account_is_acknowledged_and_taken_back(north: Scene, at_ada: Client) -> None:
    home, told = f"/brokers/{north.broker.name}/", {"count": 2, "names": ["guest", "x<y"]}
    models.Broker.objects.filter(id=north.broker.id).update(unknown_accounts=told)
    assert "x&lt;y" in page(at_ada, home)
    assert "accounts that Gatehouse did not make: guest, x&lt;y" in page(at_ada, "/findings/")
    at_ada.post(f"{home}accounts/", {"account": "guest", "known": "1"})
    found = queries.get_broker(id=north.broker.id)
    assert (found.unknown_accounts, found.known_accounts) == (("x<y",), ("guest",))
    at_ada.post(f"{home}accounts/", {"account": "guest", "known": ""})
    assert queries.get_broker(id=north.broker.id).known_accounts == ()
