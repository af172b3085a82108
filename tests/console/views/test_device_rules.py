"""The form of a device's own rules, and where they are told."""

from __future__ import annotations

import html
import re
from typing import Any

from django.test import Client

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.queries import list_roles
from devices.core.policy_changes import ApprovalRule
from devices.queries.device_rules import device_rules
from devices.services.device_rules import set_device_rules
from devices.services.policy_changes import set_policy_approval
from kernel.core.clock import utc_now
from tests.cast import ADA
from tests.console.views.scene import Scene

ALARM = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="alarm/${client_id}")


def address(scene: Scene, name: str = "pump-01") -> str:
    return f"/devices/{scene.devices[name]}/rules/"


def filled(client: Client, where: str, *topics: str, **more: str) -> dict[str, str]:
    """The form as it is shown, with these rules in it."""
    page = html.unescape(client.get(where).content.decode())
    [digest] = re.findall(r'name="digest" value="([0-9a-f]{64})"', page)
    fields = {"digest": digest, "rows": str(len(topics)), **more}
    for number, topic in enumerate(topics):
        row = {"effect": "allow", "actions": "publish", "topic": topic, "qos": "0 1 2", "retain": "any"}
        row["shared"] = "any"
        fields |= {f"rule-{number}-{name}": value for name, value in row.items()}
    return fields


def rules(scene: Scene, name: str = "pump-01") -> list[str]:
    return [rule.topic for rule in device_rules(domain=scene.domain, name=name).rules]


def test_rules_are_written_shown_with_their_reason_and_taken_away(north: Scene, at_ada: Client) -> None:
    where = address(north)
    answer = at_ada.post(where, filled(at_ada, where, "alarm/${client_id}", ""), follow=True)
    assert answer.redirect_chain == [(where.removesuffix("rules/"), 302)]
    page = answer.content.decode()
    assert 'title="alarm/${client_id}">alarm/pump-01</code>' in page
    assert "own rules of pump-01" in page
    asked = at_ada.get(where.replace("rules/", "explain/"), {"action": "publish", "topic": "alarm/pump-01"})
    assert "A rule of the own rules of pump-01 allows it" in asked.content.decode()
    at_ada.post(where, filled(at_ada, where))
    assert rules(north) == []


def test_they_stand_among_no_roles_and_their_role_leads_to_the_device(north: Scene, at_ada: Client) -> None:
    set_device_rules(device=north.devices["pump-01"], rules=[ALARM], actor=ADA, now=utc_now())
    own = next(role for role in list_roles(domains=[north.domain]) if role.name == "@pump-01")
    for page in ("/roles/", "/search/found/?q=@pump"):
        assert "@pump-01" not in at_ada.get(page).content.decode()
    answer = at_ada.get(f"/roles/{own.id}/")
    assert answer["Location"] == f"/devices/{north.devices['pump-01']}/"


def test_a_second_writer_is_told_and_loses_nothing_that_was_typed(north: Scene, at_ada: Client) -> None:
    where = address(north)
    late = filled(at_ada, where, "late/x")
    at_ada.post(where, filled(at_ada, where, "first/x"))
    answer = at_ada.post(where, late)
    assert "were changed meanwhile" in answer.content.decode()
    assert 'value="late/x"' in answer.content.decode()
    assert rules(north) == ["first/x"]


def test_a_fault_stands_beside_its_rule(north: Scene, at_ada: Client) -> None:
    where = address(north)
    answer = at_ada.post(where, filled(at_ada, where, "a/b", "a/#/b"))
    assert 'id="id_rule-1-topic_error"' in answer.content.decode()
    assert rules(north) == []


def test_the_filter_is_tried_on_this_device(north: Scene, at_ada: Client) -> None:
    where = address(north, "pump-03")
    assert f"?device={north.devices['pump-03']}" in at_ada.get(where).content.decode()
    asked = {"device": str(north.devices["pump-03"]), "rule-0-topic": "x/${client_id}"}
    assert "for pump-03: x/pump-03" in at_ada.get("/roles/_filter/", asked).content.decode()
    assert at_ada.get("/roles/_filter/", asked | {"device": "x"}).status_code == 400


def test_where_policy_is_approved_the_form_makes_a_draft(north: Scene, at_ada: Client, ada: Any) -> None:
    where = address(north)
    sent = filled(at_ada, where, "alarm/x")
    owner = ADA
    set_policy_approval(domain=north.domain, rule=ApprovalRule.OTHER_OPERATOR, actor=owner, now=utc_now())
    assert "Save and tell the brokers" not in at_ada.get(where).content.decode()
    assert "approved by a second operator" in at_ada.post(where, sent).content.decode()
    answer = at_ada.post(where, sent | {"draft": "1"}, follow=True)
    assert re.fullmatch(r"/changes/[0-9a-f-]{36}/", answer.redirect_chain[0][0])
    page = answer.content.decode()
    assert "own rules of pump-01" in page
    assert "alarm/x" in page
    edited = at_ada.get(f"{answer.redirect_chain[0][0]}roles/@pump-01/").content.decode()
    assert "Bind in the draft" not in edited
    assert rules(north) == []


def test_others_see_and_write_nothing(north: Scene, at_ada: Client, at_bo: Client, at_cy: Client) -> None:
    where = address(north)
    sent = filled(at_ada, where, "alarm/x")
    assert at_cy.get(where).status_code == at_cy.post(where, sent).status_code == 404
    foreign = {"device": str(north.devices["pump-01"]), "rule-0-topic": "x/${client_id}"}
    assert at_cy.get("/roles/_filter/", foreign).status_code == 404
    assert at_bo.get(where).status_code == at_bo.post(where, sent).status_code == 403
    assert "Rules of its own" not in at_bo.get(where.removesuffix("rules/")).content.decode()
    assert rules(north) == []
