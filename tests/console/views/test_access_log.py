"""The access log and the suggestions from it, as operators see them."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from brokers import models
from brokers import services as brokers
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, BrokerEvent
from devices.queries.policy_changes import list_changes
from tests.console.views.scene import Scene

FORGED = '<script>alert(1)</script>" onload="x'


@pytest.fixture
def told(north: Scene, settings: Settings, tmp_path: Path) -> Scene:
    """A broker told of a denial, of somebody with a hostile name, and of yesterday."""
    settings.GATEHOUSE_HOME = tmp_path
    denied = BrokerEvent(
        at=north.now,
        kind=AccessKind.DENIED,
        action=AccessAction.PUBLISH,
        topic="other/x",
        qos=1,
        reason=AccessReason.NOT_ALLOWED,
        auth_id="pump-01",
        client_id="pump-01",
        address="192.0.2.5",
    )
    refused = BrokerEvent(at=north.now, kind=AccessKind.REFUSED, client_id=FORGED, topic="", detail=FORGED)
    before = BrokerEvent(at=north.now - timedelta(days=1, hours=1), kind=AccessKind.CONNECTED, client_id="early-bird")
    brokers.note_events(broker=north.broker.id, events=[before, refused, denied])
    brokers.roll_access_log(now=north.now)
    return north


def text(browser: Client, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.content[:2000]
    return answer.content.decode()


def test_lines_are_shown_live_narrowed_and_escaped(told: Scene, at_ada: Client, at_cy: Client) -> None:
    page = text(at_ada, "/access-log/")
    for words in (
        "Denied publish",
        "other/x",
        "No rule allows it.",
        "192.0.2.5",
        "early-bird",
        'hx-trigger="every 5s"',
    ):
        assert words in page
    assert FORGED not in page
    assert "&lt;script&gt;" in page
    device = told.devices["pump-01"]
    assert f"/devices/{device}/" in page
    narrowed = text(at_ada, "/access-log/?device=pump-01&kind=denied&action=publish")
    assert "other/x" in narrowed
    assert "early-bird" not in narrowed
    assert "There is no device nobody" in text(at_ada, "/access-log/?device=nobody")
    assert "No line fits" in text(at_ada, "/access-log/?kind=disconnected")
    assert "Denied something by" in text(at_ada, f"/devices/{device}/")
    strangers = text(at_cy, "/access-log/")
    assert "Nothing has happened yet" in strangers
    assert "early-bird" not in strangers
    assert "There is no device pump-01" in text(at_cy, "/access-log/?device=pump-01")


def test_daily_file_is_fetched_by_its_own_domain_alone(told: Scene, at_ada: Client, at_cy: Client) -> None:
    day = (told.now - timedelta(days=1, hours=1)).date().isoformat()
    address = f"/access-log/files/{day}/"
    assert address in text(at_ada, "/access-log/")
    assert b"early-bird" in gzip.decompress(at_ada.get(address).getvalue())
    assert at_cy.get(address).status_code == 404
    for wrong in ("/access-log/files/../", "/access-log/files/..%2f..%2fmaster.key/", "/access-log/files/x/"):
        assert at_ada.get(wrong).status_code == 404


def test_suggestion_is_a_draft_by_one_click(
    north: Scene, at_ada: Client, at_bo: Client, at_cy: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = north.role.rules[0]
    page = text(at_ada, f"/roles/{north.role.id}/use/")
    assert "Not known." in page
    models.Broker.objects.filter(id=north.broker.id).update(managed_since=north.now)
    monkeypatch.setattr("brokers.services.suggesting._made_on", lambda _id: (north.now - timedelta(days=40)).date())
    broker = models.Broker.objects.get(id=north.broker.id)
    for number in range(31):
        models.HeardDay.objects.create(
            broker=broker, day=(north.now - timedelta(days=number)).date(), minutes=1440, publishes=1, subscribes=1
        )
    models.DeniedAttempt.objects.create(
        broker=broker, device_id=north.devices["pump-01"], action="publish", topic="other/${client_id}/x",
        reason="not-allowed", day=north.now.date(), count=4, first_at=north.now,
        last_at=north.now,
    )  # fmt: skip
    page = text(at_ada, "/suggestions/?days=30")
    chosen = f"drop-rule:{rule.id}"
    assert chosen in page
    assert "/explorer/?device=pump-01&amp;action=publish&amp;topic=other%2Fpump-01%2Fx" in page
    assert chosen in text(at_ada, f"/roles/{north.role.id}/use/")
    assert chosen not in text(at_bo, "/suggestions/")
    assert str(rule.id) not in text(at_cy, "/suggestions/")
    body = {"suggestion": chosen, "days": "30"}
    assert at_bo.post("/suggestions/draft/", body).status_code == 403
    assert at_cy.post("/suggestions/draft/", body)["Location"] == "/suggestions/"
    assert list_changes(domains=[north.domain]) == []
    answer = at_ada.post("/suggestions/draft/", body)
    [change] = list_changes(domains=[north.domain])
    assert answer["Location"] == f"/changes/{change.id}/"
    assert change.title == f"Narrow {north.role.name} to what was used in 30 days"
