"""A topic filter is judged, tried on a device and completed while it is typed."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from acl.core.values import Action
from acl.services import create_role
from console.views.filter_check import complete
from kernel.core.actor import SYSTEM
from tests.brokers.fleet import allow
from tests.console.views.scene import Scene

KNOWN = ["${domain}/${client_id}/up/#", "${domain}/all/#", "north/all", "north/alarm"]


def told(client: Client, topic: str, effect: str = "allow") -> tuple[str, list[str]]:
    answer = client.get("/roles/_filter/", {"rule-2-topic": topic, "rule-2-effect": effect})
    assert answer.status_code == 200
    text = html.unescape(answer.content.decode())
    assert '<datalist id="rule-2-topic-list">' in text
    said = " ".join(re.findall(r"<p class=[^>]+>([^<]*)<", text))
    return said, re.findall(r'value="([^"]*)"', text)


@pytest.mark.parametrize(
    ("typed", "ways"),
    [
        ("north/a", ["north/alarm", "north/all"]),
        ("${domain}/a", ["${domain}/all/#"]),
        ("north/all", []),
        ("x/${cli", ["x/${client_id}"]),
        ("x/${attr.", ["x/${attr.line}", "x/${attr.site}"]),
        ("${domain}/${d", ["${domain}/${domain}", "${domain}/${device_type}"]),
        ("${nothing", []),
    ],
)
def test_ways_to_go_on(typed: str, ways: list[str]) -> None:
    assert complete(typed, KNOWN, ["site", "line"]) == ways


def test_what_a_filter_is_for_a_device(north: Scene, at_ada: Client) -> None:
    said, _ = told(at_ada, "${domain}/${client_id}/up/#")
    assert said == "for pump-01: north/pump-01/up/#"


def test_allow_without_a_value_is_void_and_a_deny_widened(north: Scene, at_ada: Client) -> None:
    assert told(at_ada, "x/${cert.ou}/y")[0].startswith("for pump-01 void, since ${cert.ou} has no value")
    assert told(at_ada, "x/${cert.ou}/y", "deny")[0].startswith("for pump-01: x/+/y, widened")


def test_faults_are_told_as_they_are_typed(north: Scene, at_ada: Client) -> None:
    assert "there is no placeholder" in told(at_ada, "${nobody}/x")[0].lower()
    assert "#" in told(at_ada, "a/#/b")[0]
    assert "No device type of this domain declares the attribute colour." in told(at_ada, "${attr.colour}/x")[0]


def test_markup_that_is_typed_stays_text(north: Scene, at_ada: Client) -> None:
    answer = at_ada.get("/roles/_filter/", {"rule-0-topic": '"><script>alert(1)</script>'})
    assert b"<script>" not in answer.content


def test_nothing_typed_says_nothing(north: Scene, at_ada: Client) -> None:
    assert told(at_ada, "")[0] == ""
    assert at_ada.get("/roles/_filter/").status_code == 200


def test_filters_of_another_domain_are_no_ways(north: Scene, at_ada: Client, at_cy: Client) -> None:
    create_role(
        domain=north.domain, name="hall", rules=[allow(Action.PUBLISH, "hall-9/#")], actor=SYSTEM, now=north.now
    )
    assert told(at_ada, "hall")[1] == ["hall-9/#"]
    assert told(at_cy, "hall")[1] == []


def test_nobody_is_told_without_signing_in(north: Scene, client: Client) -> None:
    assert client.get("/roles/_filter/", {"rule-0-topic": "a"}).status_code in {302, 403}
