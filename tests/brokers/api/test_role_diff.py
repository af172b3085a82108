"""/api/v1/policy/diff/: what an edit of a role would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acl.core.values import Action
from console.core.roles import EVERY_SCOPE
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import PUMP_RULES, Fleet, deny

UP = {"effect": "allow", "actions": ["publish"], "topic": "${domain}/${client_id}/up/#"}


def edit(api: Api, *rules: object, **more: object) -> Any:
    return api.post("policy/diff/", {"role": "pump", "rules": list(rules), **more})


def filters(lines: list[dict[str, Any]]) -> list[tuple[str, str, list[str], int]]:
    return [(line["action"], line["filter"], line["without"], line["devices"]) for line in lines]


def test_a_wider_and_a_missing_rule_are_told_with_devices(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.enroll("p-2")
    answer = edit(api, {**UP, "topic": "${domain}/+/up/#"})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert filters(body["gain"]) == [("publish", "${domain}/+/up/#", ["${domain}/${client_id}/up/#"], 2)]
    lost: list[tuple[str, str, list[str], int]] = [
        ("subscribe", "${domain}/${client_id}/down/#", [], 2),
        ("subscribe", "${domain}/all/#", [], 2),
    ]
    assert filters(body["lose"]) == lost
    assert (body["devices"], body["unjudged"]) == (2, 0)


def test_nothing_is_changed_by_asking(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    edit(api)
    fleet.change_role(*PUMP_RULES, deny(Action.PUBLISH, "x"))
    body = edit(api, UP, role=str(fleet.role.id)).json()
    assert body["gain"] == []  # the deny was about nothing that is allowed
    assert [line["action"] for line in body["lose"]] == ["subscribe", "subscribe"]


def test_wrong_rules_are_refused(api: Api, fleet: Fleet) -> None:
    wrong: list[object] = [[{**UP, "topic": "a/#/b"}], [{**UP, "effect": "maybe"}], "all", [{}], [UP, 1]]
    for rules in wrong:
        assert api.post("policy/diff/", {"role": "pump", "rules": rules}).status_code in {400, 422}, rules


def test_another_domains_role_is_not_found(fleet: Fleet, caller: Caller, tmp_path: Path) -> None:
    other = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    assert edit(other, UP, role=str(fleet.role.id)).status_code == 404
    assert edit(other, UP, role="nobody").status_code == 404
    assert edit(other, UP, domain="north").status_code == 404
