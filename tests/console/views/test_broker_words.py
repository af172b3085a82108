"""What a broker's pages say while nothing is known of it, and what they offer to whom."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from brokers import services
from brokers.core.values import AdapterKind, SyncState
from brokers.models import Broker
from tests.console.views.scene import Scene


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"managed_since": None}, "No plan was applied yet"),
        ({"sync": SyncState.UNREACHABLE}, "It does not answer, so nobody knows."),
        ({"sync": SyncState.UNKNOWN}, "not compared yet"),
    ],
)
def test_nothing_is_said_to_agree_before_it_was_seen(
    north: Scene, at_ada: Client, state: dict[str, object], said: str
) -> None:
    Broker.objects.filter(id=north.broker.id).update(**{"managed_since": north.now, **state})
    text = shown(at_ada, f"/brokers/{north.broker.name}/")
    assert said in text
    assert "As far as was seen, nothing." not in text


def test_parts_of_the_page_inherit_nothing_from_what_waits_for_an_operation(north: Scene, at_ada: Client) -> None:
    operation = at_ada.post(f"/devices/{north.devices['pump-01']}/suspend/").headers["Location"].partition("=")[2]
    text = shown(at_ada, f"/brokers/{north.broker.name}/?operation={operation}")
    waiting = text[text.index('id="rest"') :].partition(">")[0]
    assert 'hx-select-oob="#heading"' in waiting
    assert 'hx-disinherit="*"' in waiting


def test_what_is_unsafe_of_a_broker_stands_beside_its_state(north: Scene, at_bo: Client) -> None:
    address = f"/brokers/{north.broker.name}/"
    assert "Unsafe there" not in shown(at_bo, address)
    Broker.objects.filter(id=north.broker.id).update(notes=["The account guest has its first password."])
    assert "The account guest has its first password." in shown(at_bo, address)


def test_broker_that_asks_is_offered_a_secret_and_no_plan(north: Scene, at_ada: Client) -> None:
    assert "Plan changes" in shown(at_ada, f"/brokers/{north.broker.name}/")
    form = {"name": "emqx-1", "listeners": "", "connection/dialect": "emqx"}
    assert at_ada.post("/brokers/_new/http-decisions/", form).status_code == 302
    text = shown(at_ada, "/brokers/emqx-1/")
    assert "has no decision secret, so it can not ask" in text
    assert "Plan changes" not in text
    assert "Changed by hand" not in text
    assert '<option value="emqx" selected>' in shown(at_ada, "/brokers/emqx-1/decision-secrets/new/")


def test_sessions_name_their_broker_and_say_why_there_is_none(north: Scene, at_ada: Client) -> None:
    address = f"/sessions/?broker={north.broker.name}"
    listed = shown(at_ada, address)
    assert f"Sessions on {north.broker.name}" in listed
    assert f'hx-get="{address}" hx-trigger="every 5s"' in listed
    services.replace_sessions(broker=north.broker.id, present=[], now=north.now)
    for state, said in (
        ({"sync": SyncState.UNREACHABLE}, "does not answer, so nobody knows who is connected"),
        ({"kind": AdapterKind.MOSQUITTO_FILES}, "Such a broker tells nobody who is connected"),
    ):
        Broker.objects.filter(id=north.broker.id).update(**state)
        assert said in shown(at_ada, address)


def test_auditor_meets_no_refusal_by_what_the_pages_of_brokers_offer(north: Scene, at_bo: Client) -> None:
    """Every link and button of those pages, but those in the frame around them, is one that an auditor may use."""
    home = f"/brokers/{north.broker.name}/"
    for page in ("/brokers/", home, f"{home}listeners/", f"{home}capabilities/", "/sessions/", "/access-log/"):
        main = shown(at_bo, page).partition('<main id="main"')[2]
        assert 'method="post"' not in main, page
        for address in sorted(set(re.findall(r'(?:href|hx-get)="(/[^"#]*)"', main))):
            assert at_bo.get(address).status_code in {200, 302}, (page, address)
