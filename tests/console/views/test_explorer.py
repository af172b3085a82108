"""Explorer: the three questions, their answers, and what is wrong with a question."""

from __future__ import annotations

from urllib.parse import urlencode

from django.test import Client

from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from tests.cast import ADA
from tests.console.views.scene import RULES, Scene


def text(browser: Client, path: str, **asked: str) -> str:
    answer = browser.get(f"{path}?{urlencode(asked)}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def who(browser: Client, **asked: str) -> str:
    return text(browser, "/explorer/who/", **asked, answer="1")


def test_may_names_the_deciding_rule(north: Scene, at_ada: Client) -> None:
    asked = {"device": "pump-01", "action": "publish", "topic": "north/pump-01/up/internal/x"}
    page = text(at_ada, "/explorer/", **asked)
    assert "Refused." in page
    assert "decides: forbids it" in page
    for said in ("pump-01", asked["topic"]):
        assert f'value="{said}"' in page  # what was asked stays
    assert "There is no device pump-99" in text(at_ada, "/explorer/", **{**asked, "device": "pump-99"})


def test_who_may_counts_and_names_devices_and_rules(north: Scene, at_ada: Client) -> None:
    page = who(at_ada, action="publish", topic="north/pump-01/up/t")
    assert "<strong>1 device</strong> of north may" in page
    assert f'<a href="/devices/{north.devices["pump-01"]}/">pump-01</a>' in page
    assert "${client_id}/up/#" in page
    assert "<strong>0 devices</strong>" in who(at_ada, action="publish", topic="south/x")


def test_who_may_is_counted_behind_the_page(north: Scene, at_ada: Client) -> None:
    page = text(at_ada, "/explorer/who/", action="publish", topic="north/pump-01/up/t")
    answer = "/explorer/who/?action=publish&amp;topic=north%2Fpump-01%2Fup%2Ft&amp;answer=1"
    assert f'hx-get="{answer}" hx-trigger="load"' in page
    assert "devices</strong>" not in page
    assert "Counting" not in text(at_ada, "/explorer/who/")


def test_who_hears_asks_for_deliveries(north: Scene, at_ada: Client) -> None:
    page = who(at_ada, action="hear", topic="north/pump-01/down/x")
    assert "<strong>1 device</strong>" in page
    assert "<strong>0 devices</strong>" in who(at_ada, action="hear", topic="south/#")


def test_a_wrong_question_is_told_beside_the_form(north: Scene, at_ada: Client) -> None:
    wrong: list[tuple[str, dict[str, str]]] = [
        ("/explorer/who/", {"action": "publish", "topic": "a/#/b", "answer": "1"}),
        ("/explorer/who/", {"action": "connect", "topic": "a", "answer": "1"}),
        ("/explorer/who/", {"action": "publish", "topic": "a" * 1025, "answer": "1"}),
        ("/explorer/reach/", {"from": "group", "from_name": "nothing"}),
        ("/explorer/reach/", {"from": "role", "from_name": "a"}),
        ("/explorer/reach/", {"from": "device"}),
        ("/explorer/", {"device": "pump-01", "topic": "", "action": "publish"}),
    ]
    for path, asked in wrong:
        assert 'class="fault" role="alert"' in text(at_ada, path, **asked), (path, asked)


def test_reach_is_drawn_and_tabled(north: Scene, at_ada: Client) -> None:
    assert "is heard by devices of the" in text(at_ada, "/explorer/reach/", **{"from": "domain"})
    hears = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/+/up/#")
    acl.change_role(role=north.role.id, rules=[*RULES, hears], actor=ADA, now=north.now)
    asked = {"from": "device", "from_name": "pump-01", "to": "device_type", "to_name": "pump"}
    page = text(at_ada, "/explorer/reach/", **asked)
    assert '<svg class="reach"' in page
    assert "<code>north/${client_id}/up/#</code>" in page
    assert "but not <code>north/${client_id}/up/internal/#</code>" in page
    assert " style=" not in page


def test_another_domains_devices_are_not_there(north: Scene, at_cy: Client) -> None:
    asked = {"device": "pump-01", "action": "publish", "topic": "north/pump-01/up/t"}
    assert "There is no device pump-01" in text(at_cy, "/explorer/", **asked)
    assert "<strong>0 devices</strong>" in who(at_cy, action="publish", topic=asked["topic"])
    assert "There is no device" in text(at_cy, "/explorer/reach/", **{"from": "device", "from_name": "pump-01"})
